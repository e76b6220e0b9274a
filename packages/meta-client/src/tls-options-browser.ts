import { InvalidArgumentError } from "./meta-errors.js";

/** In browsers, in place of tls-options.ts; see there. */
export function checkTls(tls: unknown): () => Promise<object> {
  if (tls !== undefined) {
    throw new InvalidArgumentError("tls: a browser decides by itself whom it trusts. Leave tls out.");
  }
  return () => Promise.resolve({});
}
