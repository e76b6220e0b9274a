import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { afterAll, describe, expect, test } from "@jest/globals";
import { type Certificate, createCertificateAuthority, createSelfSignedCertificate } from "./certificates.js";
import { leakCheck } from "./leak-check.js";

afterAll(leakCheck());

/** Shakes hands with a server that asks for client certificates; tells what each side thinks of the other. */
async function shakeHands(server: Certificate, client: Certificate, ca: string) {
  const listening = createServer({ ...server, ca, requestCert: true, rejectUnauthorized: false });
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  const secured = once(listening, "secureConnection") as Promise<[TLSSocket]>;
  const { port } = listening.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", ...client, ca, rejectUnauthorized: false });
  const [[accepted]] = await Promise.all([secured, once(socket, "secureConnect")]);
  const seen = {
    server: socket.authorizationError,
    client: accepted.authorizationError,
    names: accepted.getPeerCertificate().subjectaltname,
  };
  const closed = [once(socket, "close"), once(accepted, "close")];
  socket.destroy();
  accepted.destroy();
  listening.close();
  await Promise.all(closed);
  return seen;
}

describe("certificates", () => {
  test("of one authority are trusted on both sides, with their names", async () => {
    const authority = await createCertificateAuthority();
    const server = await authority.issue({ hosts: ["127.0.0.1", "::1", "localhost"], usages: ["server"] });
    const client = await authority.issue({
      uris: ["spiffe://corp/billing"],
      emails: ["billing@corp.example"],
      usages: ["client"],
    });
    expect(await shakeHands(server, client, authority.cert)).toEqual({
      server: null,
      client: null,
      names: "URI:spiffe://corp/billing, email:billing@corp.example",
    });
  });

  test("that are wrong are refused with the reason for which they were made", async () => {
    const authority = await createCertificateAuthority();
    const server = await authority.issue({ hosts: ["127.0.0.1"] });
    const expired = await authority.issue({ notAfter: new Date(Date.now() - 1_000) });
    const foreign = await (await createCertificateAuthority()).issue();
    const selfSigned = await createSelfSignedCertificate();
    const problems = [];
    for (const client of [expired, foreign, selfSigned]) {
      problems.push((await shakeHands(server, client, authority.cert)).client);
    }
    // An authority of the same name has not signed with the same key.
    expect(problems).toEqual(["CERT_HAS_EXPIRED", "CERT_SIGNATURE_FAILURE", "DEPTH_ZERO_SELF_SIGNED_CERT"]);
  });

  test("fit their keys", async () => {
    const { cert, key } = await createSelfSignedCertificate({ commonName: "alone" });
    expect(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(new X509Certificate(cert).subject).toBe("CN=alone");
  });
});
