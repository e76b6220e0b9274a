import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "@jest/globals";
import { systemClock } from "@metasrv/wire";
import { pino } from "pino";
import type { HttpHandler } from "./http-exchange.js";
import { Listener } from "./listener.js";

const logger = pino({ level: "silent" });
const clock = systemClock;

const greet: HttpHandler = (request, response) => {
  response.writeHead(200);
  response.end(`HTTP ${request.httpVersion}`);
};

let listener: Listener;

async function start(handler = greet, openingTimeoutMs = 10_000, probeMs = 10_000): Promise<void> {
  listener = await Listener.start({
    bind: { host: "127.0.0.1", port: 0 },
    handler,
    clock,
    logger,
    openingTimeoutMs,
    probeMs,
    maxStreams: 50_000,
  });
}

function open(): Socket {
  const socket = connectTcp(Number(listener.address.split(":")[1]), "127.0.0.1");
  socket.setNoDelay();
  socket.on("error", () => undefined);
  return socket;
}

async function getOverHttp2(): Promise<string> {
  const session = connectHttp2(`http://${listener.address}`);
  try {
    return await text(session.request({ ":path": "/" }));
  } finally {
    session.close();
  }
}

/** Writes one byte a packet, as far as the test can make sure of that. */
async function trickle(socket: Socket, bytes: Buffer): Promise<void> {
  for (const byte of bytes) {
    await new Promise<void>((resolve) => socket.write(Buffer.from([byte]), () => setImmediate(resolve)));
  }
}

afterEach(async () => {
  await listener.stop(0);
});

describe("one port for both versions", () => {
  test("HTTP/1.1", async () => {
    await start();
    expect(await (await fetch(`http://${listener.address}`)).text()).toBe("HTTP 1.1");
  });

  test("HTTP/2 without TLS", async () => {
    await start();
    expect(await getOverHttp2()).toBe("HTTP 2.0");
  });

  test("an HTTP/2 preface that comes byte by byte", async () => {
    await start();
    const socket = open();
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    await trickle(socket, Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings]));
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer[3]).toBe(4);
    socket.destroy();
  });

  test("an HTTP/1 request that comes byte by byte and starts like the preface", async () => {
    await start();
    const socket = open();
    await trickle(socket, Buffer.from("PROPFIND / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 .*HTTP 1\.1/s);
  });

  test("a request line sent with the rest of the request, and another behind it", async () => {
    await start();
    const socket = open();
    const request = "GET / HTTP/1.1\r\nHost: a\r\n";
    socket.write(`${request}\r\n${request}Connection: close\r\n\r\n`);
    expect(await text(socket)).toMatch(/HTTP 1\.1.*HTTP 1\.1/s);
  });

  test("an IPv6 address", async () => {
    listener = await Listener.start({ bind: { host: "::1", port: 0 }, handler: greet, clock, logger });
    expect(listener.address).toMatch(/^\[::1\]:\d+$/);
    expect(await (await fetch(`http://${listener.address}`)).text()).toBe("HTTP 1.1");
  });
});

describe("hostile bytes", () => {
  test.each([
    ["text", Buffer.from("hello there\r\n\r\n")],
    ["a TLS hello", Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc])],
    ["zeros", Buffer.alloc(64)],
  ])("%s get 400, and the server goes on", async (_, bytes) => {
    await start();
    const socket = open();
    socket.write(bytes);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await getOverHttp2()).toBe("HTTP 2.0");
  });

  test("garbage behind an HTTP/2 preface closes the connection, and the server goes on", async () => {
    await start();
    const socket = open();
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "garbage ".repeat(100));
    socket.resume();
    await once(socket, "close");
    expect(await getOverHttp2()).toBe("HTTP 2.0");
  });

  test.each([
    ["nothing", ""],
    ["half a preface", "PRI * H"],
    ["a preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["half the headers", "POST / HTTP/1.1\r\nHost: a\r\n"],
  ])("%s and then silence is not waited for without end", async (_, bytes) => {
    await start(greet, 50);
    const socket = open();
    socket.write(bytes);
    socket.resume();
    await once(socket, "close");
    expect(await getOverHttp2()).toBe("HTTP 2.0");
  });

  test("half a preface and then the end closes the connection at once", async () => {
    await start();
    const socket = open();
    socket.end("PRI");
    socket.resume();
    await once(socket, "close");
  });

  test("a connection that is reset at its first bytes does no harm", async () => {
    await start();
    const socket = open();
    socket.write("PR");
    await once(socket, "connect");
    socket.resetAndDestroy();
    expect(await getOverHttp2()).toBe("HTTP 2.0");
  });
});

test("an answer may take longer than any time limit for requests", async () => {
  const openingTimeoutMs = 50;
  await start((_, response) => {
    setTimeout(() => {
      response.writeHead(200);
      response.end("at last");
    }, 4 * openingTimeoutMs);
  }, openingTimeoutMs);
  expect(await (await fetch(`http://${listener.address}`)).text()).toBe("at last");
  expect(await getOverHttp2()).toBe("at last");
});

test("tens of thousands of requests wait on one connection", async () => {
  const requests = 20_000;
  const answers: (() => void)[] = [];
  let arrived: () => void;
  const all = new Promise<void>((resolve) => (arrived = resolve));
  await start((_, response) => {
    answers.push(() => {
      response.writeHead(200);
      response.end();
    });
    if (answers.length === requests) {
      arrived();
    }
  });
  const session = connectHttp2(`http://${listener.address}`, { maxSessionMemory: 1_000 });
  const ended = Array.from({ length: requests }, async () => {
    const [headers] = (await once(session.request({ ":path": "/" }), "response")) as [Record<string, unknown>];
    return headers[":status"];
  });
  await all;
  for (const answer of answers) {
    answer();
  }
  expect(new Set(await Promise.all(ended))).toEqual(new Set([200]));
  session.destroy();
});

test("a port in use is named, with what to do", async () => {
  await start();
  const port = Number(listener.address.split(":")[1]);
  const second = Listener.start({ bind: { host: "127.0.0.1", port }, handler: greet, clock, logger });
  await expect(second).rejects.toThrow(
    `cannot listen on 127.0.0.1:${port}: another process listens there; stop it, or choose another address or port`,
  );
});

describe("an HTTP/2 connection", () => {
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const settingsReceived = Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]);
  const tooLargeFrame = Buffer.from([0x10, 0, 0, 0, 0, 0, 0, 0, 1]);

  test("on which pings stay unanswered is ended", async () => {
    await start(greet, 10_000, 20);
    const socket = open();
    socket.resume();
    socket.write(Buffer.concat([preface, settings, settingsReceived]));
    await once(socket, "close");
  });

  test("that was broken by an error of the protocol is ended, though the client only ends its own side", async () => {
    await start(greet, 10_000, 20);
    const socket = open();
    socket.resume();
    socket.end(Buffer.concat([preface, settings, settingsReceived, tooLargeFrame, Buffer.alloc(70_000)]));
    await once(socket, "close");
  });

  test("whose client answers pings is kept", async () => {
    await start(greet, 10_000, 5);
    const session = connectHttp2(`http://${listener.address}`);
    for (let pings = 0; pings < 10; pings++) {
      await once(session, "ping");
    }
    expect(await text(session.request({ ":path": "/" }))).toBe("HTTP 2.0");
    session.close();
  });
});

describe("stop", () => {
  /** Holds every request until it is told to answer. */
  async function startHolding() {
    const answers: (() => void)[] = [];
    let arrived: () => void;
    const both = new Promise<void>((resolve) => (arrived = resolve));
    await start((_, response) => {
      answers.push(() => {
        response.writeHead(200);
        response.end("done");
      });
      if (answers.length === 2) {
        arrived();
      }
    });
    return { answers, both };
  }

  test("closes idle connections of both versions at once, and takes no more", async () => {
    await start();
    const idle = open();
    idle.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(idle, "data");
    const silent = open();
    await once(silent, "connect");
    const session = connectHttp2(`http://${listener.address}`);
    await text(session.request({ ":path": "/" }));
    idle.resume();
    silent.resume();
    await Promise.all([listener.stop(60_000), once(idle, "close"), once(silent, "close"), once(session, "close")]);
    await expect(fetch(`http://${listener.address}`)).rejects.toThrow("fetch failed");
  });

  test("does not wait for the rest of an HTTP/1 request that was answered", async () => {
    await start();
    const socket = open();
    socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly so much");
    await once(socket, "data");
    socket.resume();
    await Promise.all([listener.stop(60_000), once(socket, "close")]);
  });

  test("lets open requests finish", async () => {
    const { answers, both } = await startHolding();
    const http1 = fetch(`http://${listener.address}`).then((response) => response.text());
    const http2 = getOverHttp2();
    await both;
    const stopped = listener.stop(60_000);
    for (const answer of answers) {
      answer();
    }
    expect(await Promise.all([http1, http2])).toEqual(["done", "done"]);
    await stopped;
  });

  test("ends what does not finish within the grace", async () => {
    const { both } = await startHolding();
    const http1 = fetch(`http://${listener.address}`).catch(() => "broken");
    const session = connectHttp2(`http://${listener.address}`);
    session.on("error", () => undefined);
    const request = session.request({ ":path": "/" });
    request.on("error", () => undefined);
    await both;
    await Promise.all([listener.stop(20), once(session, "close")]);
    expect(await http1).toBe("broken");
  });
});

// Node 20 has no options for this: it ends a connection after 1,000 resets at once.
const whereResetsAreBounded = Number.parseInt(process.versions.node, 10) >= 22 ? describe : describe.skip;

whereResetsAreBounded("callers of one connection", () => {
  test("may give up thousands of calls, and the others on it are answered", async () => {
    await start((request, response) => {
      if (request.method === "GET") {
        response.end("answered");
      }
    });
    const session = connectHttp2(`http://${listener.address}`);
    session.on("error", () => undefined);
    for (let calls = 0; calls < 5_000; calls++) {
      const given = session.request({ ":path": "/", ":method": "POST" });
      given.on("error", () => undefined);
      await new Promise((resolve) => setImmediate(resolve));
      given.close(8);
    }
    const request = session.request({ ":path": "/" });
    expect(await text(request)).toBe("answered");
    session.destroy();
    await listener.stop(1_000);
  });
});
