import { hostname } from "node:os";
import { describe, expect, test } from "@jest/globals";
import { checkClientOptions } from "./client-options.js";
import { InvalidArgumentError } from "./meta-errors.js";

const endpoints = ["http://127.0.0.1:3002"];

describe("checkClientOptions", () => {
  test("fills in the defaults", () => {
    expect(checkClientOptions({ endpoints })).toEqual({
      endpoints,
      protocol: "connect",
      owner: `${hostname()}:${process.pid}`,
      unavailableAfterMs: 10_000,
      firstEndpoint: "random",
      discover: true,
      onCarrier: undefined,
      trackNesting: Number.parseInt(process.versions.node, 10) >= 24,
      tracer: undefined,
      traceNames: false,
      tls: undefined,
    });
  });

  test("takes URLs with and without TLS, path and final slash, each once", () => {
    const given = ["http://a:1", "http://a:1/", "https://B.example/locks/"];
    expect(checkClientOptions({ endpoints: given }).endpoints).toEqual(["http://a:1", "https://b.example/locks"]);
  });

  test.each([
    [undefined, 'options must be an object such as { endpoints: ["http://127.0.0.1:3002"] }, but is undefined.'],
    [{}, 'endpoints must be a list of at least one URL such as "http://127.0.0.1:3002", but is undefined.'],
    [{ endpoints: [] }, "endpoints must be a list of at least one URL"],
    [{ endpoints: "http://a:1" }, "endpoints must be a list of at least one URL"],
    [
      { endpoints: ["http://a:1", "localhost:3002"] },
      'endpoints[1] must be a URL such as "http://127.0.0.1:3002" (write "http://localhost:3002"), but is \'localhost:3002\'.',
    ],
    [{ endpoints: ["127.0.0.1:3002"] }, '(write "http://127.0.0.1:3002")'],
    [{ endpoints: ["ftp://a"] }, "endpoints[0] must be a URL"],
    [{ endpoints: ["http://"] }, "endpoints[0] must be a URL"],
    [{ endpoints: [7] }, "endpoints[0] must be a URL"],
    [{ endpoints: ["http://a/?x=1"] }, "endpoints[0] must be a URL without user, query and fragment"],
    [{ endpoints, protocol: "http" }, 'protocol must be "connect" or "grpc"'],
    [{ endpoints, owner: 7 }, "owner must be a text, but is 7."],
    [{ endpoints, unavailableAfterMs: 0 }, "unavailableAfterMs must be a whole number of milliseconds, 1 or more"],
    [{ endpoints, firstEndpoint: "last" }, 'firstEndpoint must be "random" or "listed"'],
    [{ endpoints, session: false }, "session: there is no such option any more; leave it out."],
    [{ endpoints, session: true }, "session: there is no such option any more; leave it out."],
    [{ endpoints, onCarrier: "log" }, "onCarrier must be a function, but is 'log'."],
    [{ endpoints, discover: "no" }, "discover must be true or false, but is 'no'."],
    [{ endpoints, tracer: {} }, 'tracer must be a tracer such as trace.getTracer("orders") of @opentelemetry/api'],
    [{ endpoints, traceNames: "all" }, "traceNames must be true or false, but is 'all'."],
    [{ endpoints, tls: true }, "tls must be an object such as { ca }, but is true."],
  ])("refuses %j", (options, message) => {
    const check = (): unknown => checkClientOptions(options);
    expect(check).toThrow(InvalidArgumentError);
    expect(check).toThrow(message);
  });

  test("does not repeat a password", () => {
    const check = (): unknown => checkClientOptions({ endpoints: ["http://me:secret@a"] });
    expect(check).toThrow("but is 'http://a/'.");
  });
});
