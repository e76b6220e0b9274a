import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { until } from "../until.js";
import type { Flood, FloodTarget } from "./flood.js";
import { openSocket } from "./raw-http2.js";

async function openSockets(target: FloodTarget, count: number, first: string | Buffer): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const opened = await Promise.all(Array.from({ length: 250 }, () => openSocket(target)));
    for (const socket of opened) {
      socket.write(first);
    }
    sockets.push(...opened);
  }
  return sockets;
}

/** The first bytes of a handshake, as a real client sends them. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const address = server.address();
  const client = connectTls({ port: typeof address === "object" ? (address?.port ?? 0) : 0, host: "127.0.0.1" });
  client.on("error", () => undefined);
  const [socket] = await accepted;
  const [hello] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  server.close();
  return hello;
}

const mostUnfinished = 2_000;

const handshakes: Flood = async (target) => {
  const sockets = await openSockets(target, 10_000, await clientHello());
  const open = (): number => sockets.filter(({ closed }) => !closed).length;
  // The server lets the last ones be.
  await until(() => open() <= mostUnfinished, { what: "the oldest to be ended", timeoutMs: 30_000 });
  const startedMs = performance.now();
  const socket = connectTls({ ...target, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return { handshakeMs: Math.round(performance.now() - startedMs), open: open() };
};

const slowRequests: Flood = async (target) => {
  const sockets = await openSockets(target, 2_000, "GET / HTTP/1.1\r\nhost: a\r\nx-");
  const startedMs = performance.now();
  let open = sockets.length;
  const ended = new Promise<void>((resolve) => {
    for (const socket of sockets) {
      const drip = setInterval(() => socket.write("a"), 1_000);
      socket.once("close", () => {
        clearInterval(drip);
        if (--open === 0) {
          resolve();
        }
      });
    }
  });
  await ended;
  return { endedMs: Math.round(performance.now() - startedMs) };
};

/** Many connections, by name. */
export const connectionFloods: Readonly<Record<string, Flood>> = {
  "10,000 unfinished TLS handshakes": handshakes,
  "2,000 requests of a byte a second": slowRequests,
};
