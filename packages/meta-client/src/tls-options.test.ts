import { inspect } from "node:util";
import { describe, expect, test } from "@jest/globals";
import { createCertificateAuthority } from "@metasrv/testing";
import { InvalidArgumentError } from "./meta-errors.js";
import { checkTls } from "./tls-options.js";

const authority = await createCertificateAuthority();
const { cert, key } = await authority.issue();
const other = await authority.issue();

describe("checkTls", () => {
  test("takes texts, bytes and lists", async () => {
    const bytes = new TextEncoder().encode(authority.cert);
    for (const ca of [authority.cert, bytes, [authority.cert, bytes]]) {
      await expect(checkTls({ ca, cert, key, serverName: "a" })()).resolves.toMatchObject({ servername: "a" });
    }
  });

  test("needs nothing", async () => {
    await expect(checkTls(undefined)()).resolves.toEqual({});
    await expect(checkTls({})()).resolves.toEqual({});
  });

  test("reads what does not change once only", async () => {
    const source = checkTls({ ca: authority.cert });
    expect((await source()).secureContext).toBe((await source()).secureContext);
  });

  test("asks a function each time", async () => {
    let asked = 0;
    const source = checkTls(() => Promise.resolve({ serverName: `n${++asked}` }));
    await source();
    await expect(source()).resolves.toEqual({ servername: "n2" });
  });

  test.each<[string, unknown, string]>([
    ["a key alone", { key }, "tls.key is given without tls.cert. Give both, or neither."],
    ["a certificate alone", { cert }, "tls.cert is given without tls.key."],
    ["another's key", { cert, key: other.key }, "tls: its certificates or its key cannot be used ("],
    ["what is no certificate", { ca: cert.replaceAll("M", "N") }, "tls: its certificates or its key cannot be used ("],
    ["the name of a file", { ca: "ca.pem" }, "tls.ca must be PEM"],
    ["no bytes", { ca: new Uint8Array() }, "tls.ca must be PEM"],
    ["a number", { ca: 7 }, "tls.ca must be PEM: a text or bytes, but is 'number'."],
    ["a text", key, "tls must be an object such as { ca }, or a function that returns one, but is 'string'."],
    [
      "an option of Node's",
      { servername: "a" },
      "tls.servername: there is no such option. There are ca, cert, key, serverName.",
    ],
    ["no check", { rejectUnauthorized: false }, "tls.rejectUnauthorized: there is no such option."],
  ])("refuses %s, without showing a key", async (_, tls, message) => {
    const check = (): unknown => checkTls(tls);
    expect(check).toThrow(InvalidArgumentError);
    expect(check).toThrow(message);
    const late = await checkTls(() => tls)().catch((error: unknown) => error);
    expect(late).toBeInstanceOf(InvalidArgumentError);
    expect(inspect(late, { depth: null })).not.toContain(key.slice(40, 80));
  });
});
