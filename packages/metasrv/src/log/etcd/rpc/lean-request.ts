import { AsyncResource } from "node:async_hooks";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";

/**
 * `session.request(headers)`, without the warning that Node prepares for each request (DEP0172) and never gives here.
 *
 * The function that Node binds to the request gets a property of its own that would warn. For that, V8 makes a hidden class, which
 * is old from the beginning, and which keeps the stream with all that belongs to it: over 4 KB a request, until all
 * old objects are collected. While the request is made, and no longer, functions are bound without that property.
 */
export function leanRequest(session: ClientHttp2Session, headers: OutgoingHttpHeaders): ClientHttp2Stream {
  const { prototype } = AsyncResource;
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is put back as it is, and not called
  const { bind } = prototype;
  prototype.bind = bindPlainly;
  try {
    return session.request(headers);
  } finally {
    prototype.bind = bind;
  }
}

type AnyFunction = (...args: unknown[]) => unknown;

function bindPlainly<F>(this: AsyncResource, run: F): F {
  const bound: AnyFunction = (...args) => this.runInAsyncScope(run as AnyFunction, undefined, ...args);
  return bound as F;
}
