import { createServer as createHttp1Server } from "node:http";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ClusterService, LockService } from "@metasrv/proto/metasrv/v1";

/** A server on a free port of this machine. */
export interface TestServer extends AsyncDisposable {
  /** Its host and port. */
  readonly authority: string;
  /** Breaks every connection with a TCP reset. */
  reset(): void;
  /** Says goodbye on every connection, and ends it without answering what is open. */
  goAway(): void;
}

async function listen(server: Server, goAway: () => void): Promise<TestServer> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    authority: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    reset() {
      for (const socket of sockets) {
        socket.resetAndDestroy();
      }
    },
    goAway,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function routesOf(
  locks: Partial<ServiceImpl<typeof LockService>>,
  cluster: Partial<ServiceImpl<typeof ClusterService>> | undefined,
) {
  return (router: ConnectRouter): unknown => {
    router.service(LockService, locks);
    return cluster === undefined ? router : router.service(ClusterService, cluster);
  };
}

/**
 * Services whose methods are the test's. Speaks Connect and gRPC over HTTP/2 without TLS.
 *
 * @param cluster - absent: there is no such service
 */
export function lockServer(
  locks: Partial<ServiceImpl<typeof LockService>>,
  cluster?: Partial<ServiceImpl<typeof ClusterService>>,
): Promise<TestServer> {
  const server = createServer(connectNodeAdapter({ routes: routesOf(locks, cluster) }));
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => undefined);
  });
  return listen(server, () => {
    for (const session of sessions) {
      session.goaway();
      session.destroy();
    }
  });
}

/** As {@link lockServer}, but speaks HTTP/1.1 only. */
export function http1LockServer(
  locks: Partial<ServiceImpl<typeof LockService>>,
  cluster?: Partial<ServiceImpl<typeof ClusterService>>,
): Promise<TestServer> {
  return listen(createHttp1Server(connectNodeAdapter({ routes: routesOf(locks, cluster) })), () => undefined);
}

/** Speaks HTTP/2; what is answered is the test's. */
export function streamServer(onStream: (stream: ServerHttp2Stream) => void): Promise<TestServer> {
  const server = createServer();
  server.on("stream", onStream);
  return listen(server, () => undefined);
}

/** Accepts connections, and never says a word: what a machine that hangs looks like. */
export function silentServer(): Promise<TestServer> {
  return listen(
    createTcpServer((socket) => socket.resume()),
    () => undefined,
  );
}
