import { hostname } from "node:os";
import { describe, expect, test } from "@jest/globals";
import { checkClientOptions } from "./client-options.js";
import { Credentials } from "./credentials.js";
import { InvalidArgumentError } from "./meta-errors.js";

const endpoints = ["http://127.0.0.1:3002"];

const secure = ["https://a:3002"];

describe("checkClientOptions", () => {
  test("fills in the defaults", () => {
    expect(checkClientOptions({ endpoints })).toEqual({
      endpoints,
      protocol: "connect",
      owner: `${hostname()}:${process.pid}`,
      unavailableAfterMs: 10_000,
      firstEndpoint: "random",
      discover: true,
      trackNesting: Number.parseInt(process.versions.node, 10) >= 24,
      tracer: undefined,
      traceNames: false,
      tls: expect.any(Function),
      credentials: expect.any(Credentials),
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
    [{ endpoints: ["http://a/?x=1"] }, "without user, password, query and fragment, but http://a/ came with a query."],
    [{ endpoints, protocol: "http" }, 'protocol must be "connect" or "grpc"'],
    [{ endpoints, owner: 7 }, "owner must be a text, but is 7."],
    [{ endpoints, unavailableAfterMs: 0 }, "unavailableAfterMs must be a whole number of milliseconds, 1 or more"],
    [{ endpoints, firstEndpoint: "last" }, 'firstEndpoint must be "random" or "listed"'],
    [{ endpoints, discover: "no" }, "discover must be true or false, but is 'no'."],
    [{ endpoints: secure, tls: true }, "tls must be an object such as { ca }, or a function"],
    [{ endpoints, tls: { ca: "" } }, "tls is given, but no endpoint uses TLS: http://127.0.0.1:3002."],
    [{ endpoints, allowInsecureToken: 1 }, "allowInsecureToken must be true or false, but is 1."],
    [{ endpoints: ["http://10.0.0.1:3002"], token: "t" }, "token must not go to http://10.0.0.1:3002"],
    [{ endpoints: [...secure, "http://a"], token: () => "t" }, "token must not go to http://a"],
    [{ endpoints, tracer: {} }, 'tracer must be a tracer such as trace.getTracer("orders") of @opentelemetry/api'],
    [{ endpoints, traceNames: "all" }, "traceNames must be true or false, but is 'all'."],
  ])("refuses %j", (options, message) => {
    const check = (): unknown => checkClientOptions(options);
    expect(check).toThrow(InvalidArgumentError);
    expect(check).toThrow(message);
  });

  test.each(["http://localhost:3002", "http://127.7.0.1", "http://[::1]:3002", "https://10.0.0.1"])(
    "lets a token go to %s",
    (endpoint) => {
      expect(checkClientOptions({ endpoints: [endpoint], token: "t" }).endpoints).toEqual([endpoint]);
    },
  );

  test("lets a token go anywhere if that is allowed", () => {
    const { credentials } = checkClientOptions({ endpoints: ["http://a"], token: "t", allowInsecureToken: true });
    expect(credentials.mayGoTo(new URL("http://b"))).toBe(true);
  });

  test("does not repeat a password", () => {
    const check = (): unknown => checkClientOptions({ endpoints: ["http://me:secret@a"] });
    expect(check).toThrow("but http://a/ came with a user and a password.");
  });
});
