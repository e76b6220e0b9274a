import { once } from "node:events";
import { request as requestHttp1 } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { request as requestHttps } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import {
  type Certificate,
  type CertificateAuthority,
  createCertificateAuthority,
  createSelfSignedCertificate,
  leakCheck,
} from "@metasrv/testing";
import { systemClock } from "@metasrv/wire";
import { createLogger } from "../logger.js";
import type { Credentials } from "../tls/credentials.js";
import type { TlsSettings } from "../tls/tls-settings.js";
import type { HttpHandler } from "./http-exchange.js";
import { Listener, type ListenerOptions } from "./listener.js";

const clock = systemClock;

let authority: CertificateAuthority;
let server: Certificate;
let client: Certificate;
let listener: Listener;
/** What the listener was given; changed by {@link change}. */
let credentials: { current: Credentials; onChange: ((changed: Credentials) => void) | undefined };
let logs: { readonly msg: string; readonly problem?: string }[];

beforeAll(async () => {
  authority = await createCertificateAuthority();
  server = await authority.issue({ hosts: ["127.0.0.1"], usages: ["server"] });
  client = await authority.issue({ uris: ["spiffe://corp/billing"], usages: ["client"] });
});

afterEach(async () => {
  await listener.stop(0);
});
afterAll(leakCheck());

/** Answers with what it knows of the client. */
const greet: HttpHandler = (request, response) => {
  const socket = "stream" in request ? request.stream.session?.socket : request.socket;
  const { authorized } = socket as TLSSocket;
  const { subjectaltname = "nobody" } = (socket as Partial<TLSSocket>).getPeerCertificate?.() ?? {};
  response.writeHead(200);
  response.end(`HTTP ${request.httpVersion} ${subjectaltname} ${authorized}`);
};

function credentialsOf({ cert, key }: Certificate, ca?: string): Credentials {
  return {
    cert: Buffer.from(cert),
    key: Buffer.from(key),
    ca: ca === undefined ? undefined : Buffer.from(ca),
    hash: "",
    subject: "",
    validFromMs: 0,
    expiresAtMs: 0,
  };
}

async function start(settings: Partial<TlsSettings> = {}, options: Partial<ListenerOptions> = {}): Promise<void> {
  const { clientAuth = "none" } = settings;
  logs = [];
  credentials = {
    current: credentialsOf(server, clientAuth === "none" ? undefined : authority.cert),
    onChange: undefined,
  };
  listener = await Listener.start({
    bind: { host: "127.0.0.1", port: 0 },
    handler: greet,
    clock,
    logger: createLogger({
      level: "info",
      format: "json",
      output: { write: (line) => void logs.push(JSON.parse(line) as (typeof logs)[number]) },
    }),
    tls: {
      settings: {
        cert: "",
        key: "",
        clientCa: undefined,
        clientAuth,
        plaintext: "refuse",
        minVersion: "TLSv1.2",
        maxSessionAgeMs: 0,
        ...settings,
      },
      credentials,
    },
    ...options,
  });
}

async function startPlain(): Promise<void> {
  await start({}, { tls: undefined });
}

function port(): number {
  return Number(listener.address.split(":")[1]);
}

function overHttp1(options: ConnectionOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    requestHttps(`https://${listener.address}/`, { ca: authority.cert, agent: false, ...options }, (response) => {
      text(response).then(resolve, reject);
    })
      .on("error", reject)
      .end();
  });
}

function openHttp2(options: ConnectionOptions = {}): ClientHttp2Session {
  const session = connectHttp2(`https://${listener.address}`, { ca: authority.cert, ...options });
  session.on("error", () => undefined);
  return session;
}

async function overHttp2(options: ConnectionOptions = {}): Promise<string> {
  const session = openHttp2(options);
  const said = new Promise<string>((resolve) => {
    session.on("goaway", (_code, _last, data) => {
      resolve(`GOAWAY ${Buffer.from(data ?? []).toString()}`);
    });
  });
  const stream = session.request({ ":path": "/" });
  stream.on("error", () => undefined);
  const answer = new Promise<string>((resolve) => {
    stream.once("response", () => void text(stream).then(resolve, () => undefined));
  });
  const result = await Promise.race([said, answer]);
  session.destroy();
  return result;
}

function openPlain(): Socket {
  const socket = connectTcp(port(), "127.0.0.1");
  socket.on("error", () => undefined);
  return socket;
}

function plainHttp1(): Promise<string> {
  return new Promise((resolve, reject) => {
    requestHttp1(`http://${listener.address}/`, { agent: false }, (response) => {
      text(response).then((body) => {
        resolve(`${response.statusCode} ${body}`);
      }, reject);
    })
      .on("error", reject)
      .end();
  });
}

describe("TLS on the one port", () => {
  test("HTTP/1.1 and HTTP/2, by ALPN", async () => {
    await start();
    expect(await overHttp1()).toMatch(/^HTTP 1\.1 nobody/);
    expect(await overHttp2()).toMatch(/^HTTP 2\.0 nobody/);
  });

  test("a handshake that comes byte by byte", async () => {
    await start();
    // A proxy that splits what the client sends.
    const upstream = openPlain();
    await once(upstream, "connect");
    const split = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        for (const byte of chunk) {
          upstream.write(Buffer.from([byte]));
        }
        done();
      },
    });
    upstream.on("data", (chunk) => split.push(chunk));
    const socket = connectTls({ socket: split, ca: authority.cert, host: "127.0.0.1", ALPNProtocols: ["http/1.1"] });
    await once(socket, "secureConnect");
    socket.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200/);
    socket.destroy();
    upstream.destroy();
  });

  test("a version that is too old is refused", async () => {
    await start({ minVersion: "TLSv1.3" });
    await expect(overHttp1({ maxVersion: "TLSv1.2" })).rejects.toThrow(/alert protocol version/);
    expect(logs).toMatchObject([{ msg: "a TLS handshake failed" }]);
    expect(await overHttp1()).toMatch(/^HTTP 1\.1/);
  });

  test("a handshake that is not finished in time is ended", async () => {
    await start({}, { openingTimeoutMs: 100 });
    const socket = openPlain();
    socket.resume();
    socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
    await once(socket, "close");
    expect(await overHttp1()).toMatch(/^HTTP 1\.1/);
  });

  test("connections that have not finished their handshakes do not keep it from stopping", async () => {
    await start();
    const socket = openPlain();
    socket.resume();
    socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
    await once(socket, "connect");
    await expect(overHttp1()).resolves.toMatch(/^HTTP/);
    await Promise.all([once(socket, "close"), listener.stop(60_000)]);
  });
});

describe("without TLS at a port with it", () => {
  const sentence = "This port speaks TLS only: use https:// instead of http://.";

  test("HTTP/1.1 is answered with 400 and what to do", async () => {
    await start();
    expect(await plainHttp1()).toBe(`400 ${sentence}\n`);
    expect(logs).toMatchObject([{ msg: "a connection was refused", answer: sentence }]);
  });

  test("HTTP/2 is answered with a GOAWAY that says what to do", async () => {
    await start();
    const session = connectHttp2(`http://${listener.address}`);
    session.on("error", () => undefined);
    session.request({ ":path": "/" }).on("error", () => undefined);
    const [code, , data] = (await once(session, "goaway")) as [number, number, Buffer];
    expect([code, Buffer.from(data).toString()]).toEqual([12, sentence]);
    session.destroy();
  });

  test("is allowed to clients of this machine, if so configured", async () => {
    await start({ plaintext: "loopback" });
    expect(await plainHttp1()).toMatch(/^200 HTTP 1\.1 nobody undefined/);
    expect(await overHttp1()).toMatch(/^HTTP 1\.1/);
  });

  test("the log is not filled by those who try again and again", async () => {
    await start();
    for (let n = 0; n < 20; n++) {
      await plainHttp1();
    }
    expect(logs).toHaveLength(1);
  });
});

test("TLS at a port without it fails as TLS clients know it, and the log says what it was", async () => {
  await startPlain();
  await expect(overHttp1()).rejects.toThrow("wrong version number");
  expect(logs).toMatchObject([
    { msg: "a connection was refused", answer: "This port does not speak TLS: use http:// instead of https://." },
  ]);
});

describe("certificates of clients", () => {
  const ways = { "HTTP/1.1": overHttp1, "HTTP/2": overHttp2 };

  test.each(Object.entries(ways))("reach the handler over %s", async (_, ask) => {
    await start({ clientAuth: "require" });
    expect(await ask({ ...client })).toMatch(/URI:spiffe:\/\/corp\/billing true$/);
  });

  test.each(Object.entries(ways))("are not needed over %s where they are only asked for", async (_, ask) => {
    await start({ clientAuth: "request" });
    expect(await ask()).toMatch(/nobody false$/);
    expect(await ask({ ...client })).toMatch(/URI:spiffe:\/\/corp\/billing true$/);
  });

  test.each(Object.entries(ways))("are needed over %s where they are required", async (_, ask) => {
    await start({ clientAuth: "require" });
    expect(await ask()).toMatch(/serves only clients with a certificate that it trusts/);
  });

  test.each(["require", "request"] as const)(
    "that are not good are refused, and the client learns why: %s",
    async (clientAuth) => {
      await start({ clientAuth });
      const other = await createCertificateAuthority("another authority");
      const bad: [Certificate, string][] = [
        [await authority.issue({ notAfter: new Date(Date.now() - 1_000) }), "CERT_HAS_EXPIRED"],
        [await authority.issue({ notBefore: new Date(Date.now() + 3_600_000) }), "CERT_NOT_YET_VALID"],
        [await authority.issue({ usages: ["server"] }), "INVALID_PURPOSE"],
        [await other.issue(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
        [await createSelfSignedCertificate(), "DEPTH_ZERO_SELF_SIGNED_CERT"],
      ];
      for (const [certificate, reason] of bad) {
        for (const ask of Object.values(ways)) {
          expect(await ask({ ...certificate })).toContain(`does not trust the certificate of this client (${reason})`);
        }
      }
      expect(logs).toMatchObject([{ msg: "a client was refused for its certificate" }]);
    },
  );

  test("a change of the authorities counts for handshakes from then on, and leaves connections as they are", async () => {
    await start({ clientAuth: "require" });
    const session = openHttp2({ ...client });
    await text(session.request({ ":path": "/" }));
    const next = await createCertificateAuthority("the next one");
    credentials.onChange?.(credentialsOf(server, next.cert));
    expect(await overHttp2({ ...client })).toContain("does not trust");
    expect(await overHttp1({ ...client })).toContain("does not trust");
    expect(await overHttp2({ ...(await next.issue()) })).toMatch(/true$/);
    expect(await text(session.request({ ":path": "/" }))).toMatch(/true$/);
    session.destroy();
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a %s session is not resumed, which would pass by such a change",
    async (version) => {
      await start({ clientAuth: "require" });
      const options = {
        port: port(),
        host: "127.0.0.1",
        ca: authority.cert,
        ...client,
        minVersion: version,
        maxVersion: version,
      };
      const first = connectTls(options);
      let session: Buffer | undefined;
      first.on("session", (given) => (session = given));
      await once(first, "secureConnect");
      first.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
      await once(first, "data");
      first.destroy();
      const second = connectTls({ ...options, session: session ?? first.getSession() });
      await once(second, "secureConnect");
      expect(second.isSessionReused()).toBe(false);
      second.destroy();
    },
  );
});

describe("a new certificate of the server", () => {
  test("is used by handshakes from then on, and connections that are open go on", async () => {
    await start();
    const session = openHttp2();
    const before = (session.socket as TLSSocket | undefined)?.getPeerX509Certificate();
    await text(session.request({ ":path": "/" }));
    credentials.onChange?.(credentialsOf(await authority.issue({ hosts: ["127.0.0.1"], commonName: "renewed" })));
    const socket = connectTls({ port: port(), host: "127.0.0.1", ca: authority.cert });
    await once(socket, "secureConnect");
    expect(socket.getPeerX509Certificate()?.subject).toBe("CN=renewed");
    expect(before?.subject).not.toBe("CN=renewed");
    expect(await text(session.request({ ":path": "/" }))).toMatch(/^HTTP 2/);
    socket.destroy();
    session.destroy();
  });
});

describe("a connection that has become old", () => {
  test("is told to end over HTTP/2: what is asked is answered first", async () => {
    const answers: (() => void)[] = [];
    let arrived = (): void => undefined;
    const asked = new Promise<void>((resolve) => (arrived = resolve));
    const hold: HttpHandler = (_, response) => {
      answers.push(() => {
        response.writeHead(200);
        response.end("at last");
      });
      arrived();
    };
    await start({ maxSessionAgeMs: 300 }, { handler: hold, random: () => 0 });
    const session = openHttp2();
    const answer = text(session.request({ ":path": "/" }));
    await asked;
    await once(session, "goaway");
    answers[0]?.();
    expect(await answer).toBe("at last");
    await once(session, "close");
  });

  test("ends over HTTP/1.1 with its next answer", async () => {
    await start({ maxSessionAgeMs: 200 }, { random: () => 0 });
    const socket = connectTls({ port: port(), host: "127.0.0.1", ca: authority.cert });
    await once(socket, "secureConnect");
    const ended = once(socket, "close");
    socket.resume();
    const timer = setInterval(() => socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), 50);
    await ended;
    clearInterval(timer);
  });

  test("without TLS stays", async () => {
    await start({ plaintext: "loopback", maxSessionAgeMs: 50 }, { random: () => 0 });
    const plain = connectHttp2(`http://${listener.address}`);
    const secured = openHttp2();
    await once(secured, "close");
    expect(await text(plain.request({ ":path": "/" }))).toMatch(/^HTTP 2/);
    plain.destroy();
  });
});
