import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { Credentials } from "./credentials.js";
import { InvalidArgumentError } from "./meta-errors.js";
import { translateError } from "./translate-error.js";

const secret = "s3cr3t-t0ken";
const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

describe("credentials", () => {
  test("are a bearer token and headers", async () => {
    const credentials = new Credentials(secret, { "x-tenant": "billing" });
    expect(await credentials.headers()).toEqual({ authorization: `Bearer ${secret}`, "x-tenant": "billing" });
  });

  test("are asked for anew each time", async () => {
    let asked = 0;
    const credentials = new Credentials(
      () => Promise.resolve(`token-${++asked}`),
      () => ({ "x-asked": `${asked}` }),
    );
    await credentials.headers();
    expect(await credentials.headers()).toEqual({ authorization: "Bearer token-2", "x-asked": "1" });
  });

  test("are none unless given", async () => {
    expect(await new Credentials().headers()).toEqual({});
    expect(new Credentials().mayGoTo(new URL("http://a"))).toBe(true);
  });

  test.each([["http://localhost.evil.example"], ["http://127.0.0.1.evil.example"], ["http://10.0.0.1"]])(
    "do not go to %s",
    (url) => {
      expect(new Credentials(secret).mayGoTo(new URL(url))).toBe(false);
    },
  );

  test.each<[string, unknown, unknown, string]>([
    ["an empty token", "", undefined, "token must be a text of ASCII characters without spaces and line ends"],
    ["the line end of a file", `${secret}\n`, undefined, "Trim what was read from a file."],
    ["a token that is no text", { secret }, undefined, "but is of type object"],
    ["headers in one text", undefined, secret, "headers must be an object"],
    ["a token among headers", undefined, { Authorization: secret }, "headers must not set Authorization"],
    ["a header of the protocol", undefined, { "Content-Type": secret }, "headers must not set Content-Type"],
    ["a name that is none", undefined, { "a b": secret }, "headers must be an object whose keys are names of headers"],
    [
      "a value with a line end",
      undefined,
      { a: `${secret}\r\nb: c` },
      "headers must have an ASCII text as the value of a",
    ],
  ])("refuse %s, without showing it", (_, token, headers, message) => {
    const make = (): unknown => new Credentials(token, headers);
    expect(make).toThrow(InvalidArgumentError);
    expect(make).toThrow(message);
    expect(make).not.toThrow(secret);
  });

  test("refuse what a function returns, without showing it", async () => {
    const error = await failureOf(new Credentials(() => `${secret} `).headers());
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(inspect(error, { depth: null })).not.toContain(secret);
    expect(translateError(error, { endpoint: "http://a", sent: false })).toBe(error);
  });

  test("say which function has failed, as what may pass", async () => {
    const broken = new Credentials(() => {
      throw new TypeError("no file");
    });
    const error = await failureOf(broken.headers());
    expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: "token() has failed: no file" });
    expect(error).toBeInstanceOf(ConnectError);
    expect(translateError(error, { endpoint: "http://a", sent: false })).toMatchObject({ name: "EndpointFailure" });
  });

  test("are not shown", () => {
    const credentials = new Credentials(secret, { "x-key": secret });
    expect(inspect(credentials, { depth: null, showHidden: true })).not.toContain(secret);
    expect(JSON.stringify(credentials)).toBe("{}");
  });
});
