import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { type ClientEvents, MetaClient, type MetaClientOptions, UnavailableError } from "@metasrv/meta-client";
import {
  type Certificate,
  type CertificateAuthority,
  createCertificateAuthority,
  createSelfSignedCertificate,
  leakCheck,
  type Metasrv,
  startMetasrv,
  TlsFront,
  type TlsFrontOptions,
} from "@metasrv/testing";

let authority: CertificateAuthority;
let certificate: Certificate;
let server: Metasrv;
const opened: AsyncDisposable[] = [];

beforeAll(async () => {
  authority = await createCertificateAuthority();
  certificate = await authority.issue({ hosts: ["127.0.0.1"] });
  server = await startMetasrv();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each[Symbol.asyncDispose]();
  }
});

async function front(options: Partial<TlsFrontOptions> = {}): Promise<TlsFront> {
  const started = await TlsFront.start({ target: server.address, ...certificate, ...options });
  opened.push(started);
  return started;
}

function client(url: string, options: Partial<MetaClientOptions> = {}): MetaClient {
  const meta = new MetaClient({ endpoints: [url], discover: false, tls: { ca: authority.cert }, ...options });
  opened.push(meta);
  return meta;
}

const ways: [string, Partial<TlsFrontOptions>, Partial<MetaClientOptions>, Partial<ClientEvents["connected"]>][] = [
  ["HTTP/2, by Connect", {}, {}, { carrier: "stream", httpVersion: "2" }],
  ["HTTP/2, by gRPC", {}, { protocol: "grpc" }, { carrier: "stream", httpVersion: "2" }],
  ["HTTP/2 that nobody announces", { protocols: [] }, {}, { carrier: "stream", httpVersion: "2" }],
  ["HTTP/1.1", { protocols: ["http/1.1"] }, {}, { carrier: "attach", httpVersion: "1.1" }],
];

describe.each(ways)("over TLS and %s", (_, frontOptions, options, carrier) => {
  test("locks are had, refused, waited for, looked at and listed", async () => {
    const told: ClientEvents["connected"][] = [];
    const meta = client((await front(frontOptions)).url, options);
    meta.on("connected", (event) => told.push(event));
    const first = await meta.lock("a");
    expect(await meta.tryLock("a")).toBeNull();
    const next = meta.lock("a");
    await first.release();
    await (await next).release();
    expect(await meta.locks.get("a")).toMatchObject({ holderCount: 0 });
    expect(await meta.members()).toHaveLength(1);
    expect(told).toMatchObject([carrier]);
  });

  test("the client shows the certificate that is right when it connects", async () => {
    const there = await front({ ...frontOptions, ca: authority.cert, requestCert: true });
    const own = await Promise.all(["old", "new"].map((commonName) => authority.issue({ commonName })));
    let now = own[0];
    const meta = client(there.url, { ...options, tls: () => Promise.resolve({ ca: authority.cert, ...now }) });
    const lock = await meta.lock("a", { ttlMs: 60_000 });
    now = own[1];
    there.cut();
    await (await meta.lock("b")).release();
    expect(lock.held).toBe(true);
    expect(new Set(there.clients)).toEqual(new Set(["old", "new"]));
    expect(there.clients.at(-1)).toBe("new");
  });

  test("the client trusts the authority that is right when it connects", async () => {
    const there = await front(frontOptions);
    const other = await createCertificateAuthority("another");
    let ca: string[] = [authority.cert];
    const meta = client(there.url, { ...options, tls: () => ({ ca }) });
    const lock = await meta.lock("a", { ttlMs: 60_000 });
    there.replace(await other.issue({ hosts: ["127.0.0.1"] }));
    there.cut();
    expect(await lock.renew()).toBe("unknown");
    ca = [authority.cert, other.cert];
    expect(await lock.renew()).toBe("renewed");
  });

  test("a certificate may be for another name than the endpoint's, if the client says which", async () => {
    const there = await front({ ...frontOptions, ...(await authority.issue({ hosts: ["locks.example.com"] })) });
    const meta = client(there.url, { ...options, tls: { ca: authority.cert, serverName: "locks.example.com" } });
    await (await meta.lock("a")).release();
  });

  const wrong: [string, () => Promise<Partial<TlsFrontOptions>>, string][] = [
    [
      "of another authority",
      async () => (await createCertificateAuthority()).issue({ hosts: ["127.0.0.1"] }),
      "no authority that this client trusts; give that authority's in tls.ca",
    ],
    ["of no authority", () => createSelfSignedCertificate({ hosts: ["127.0.0.1"] }), "no authority that this client"],
    [
      "that has expired",
      () => authority.issue({ hosts: ["127.0.0.1"], notAfter: new Date(Date.now() - 60_000) }),
      "its certificate has expired",
    ],
    [
      "for another name",
      () => authority.issue({ hosts: ["a.example"] }),
      "its certificate is for other names than that of the endpoint; see tls.serverName",
    ],
    [
      "that is right, and asks for one of the client",
      () => Promise.resolve({ ca: authority.cert, requestCert: true }),
      "it asks for a certificate of this client; give tls.cert and tls.key",
    ],
  ];
  test.each(wrong)("a server with a certificate %s is not used, and the error says why", async (__, make, why) => {
    const there = await front({ ...frontOptions, ...(await make()) });
    const meta = client(there.url, { ...options, unavailableAfterMs: 200 });
    const error = await meta.lock("a").catch((refused: unknown) => refused);
    expect(error).toBeInstanceOf(UnavailableError);
    const certificateRefused = why.startsWith("it asks for a certificate");
    expect(error).toMatchObject({ endpoints: [{ reason: expect.stringContaining(why), certificateRefused }] });
  });
});

test("https where no TLS is spoken says so", async () => {
  const meta = client(server.url.replace("http:", "https:"), { unavailableAfterMs: 200 });
  await expect(meta.lock("a")).rejects.toThrow('it does not speak TLS; begin the endpoint with "http://"');
});

test("certificates that cannot be read just now may be so soon", async () => {
  let reads = 0;
  const meta = client((await front()).url, {
    tls: () => {
      if (++reads === 1) {
        throw new Error("ENOENT: no such file");
      }
      return { ca: authority.cert };
    },
  });
  await (await meta.lock("a")).release();
  expect(reads).toBe(2);
});

test("a member that cannot prove itself by TLS is not used", async () => {
  // The server tells of itself at the address where it speaks plaintext.
  const there = await front();
  const meta = client(there.url, { discover: true });
  await (await meta.lock("a")).release();
  expect(await meta.members()).toMatchObject([{ address: server.address }]);
  await (await meta.lock("a")).release();
  there.cut();
  await (await meta.lock("a")).release();
  expect(there.clients.length).toBeGreaterThan(1);
});

afterAll(leakCheck());
