import { Agent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import type { Interceptor, Transport } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";

/**
 * How a plain client speaks: gRPC, gRPC with compressed requests, which takes another way through the server, Connect over
 * HTTP/2, gRPC-Web over HTTP/1.1, or JSON over HTTP/1.1 as curl would.
 */
export type Wire = "grpc" | "grpc, compressed" | "connect" | "grpc-web" | "json";

/** A transport and its connections. Disposing of it closes them. */
export interface RpcClient extends Disposable {
  readonly transport: Transport;
}

/** By what a client is known. */
export interface Proof {
  /** Is sent with each request. */
  readonly token?: string | undefined;
  /** The certificate of the client, and the authorities that it trusts. */
  readonly tls?: Pick<SecureContextOptions, "ca" | "cert" | "key"> | undefined;
}

/** A plain client of any service at a URL; nothing is repeated. */
export function openRpcClient(wire: Wire, baseUrl: string, { token, tls }: Proof = {}): RpcClient {
  const interceptors = token === undefined ? [] : [bearing(token)];
  if (wire === "json" || wire === "grpc-web") {
    const agent = tls === undefined ? new Agent({ keepAlive: true }) : promptAgent(tls);
    const options = { baseUrl, httpVersion: "1.1", nodeOptions: { agent }, interceptors } as const;
    const transport =
      wire === "json"
        ? createConnectTransport({ ...options, useBinaryFormat: false })
        : createGrpcWebTransport(options);
    return {
      transport,
      [Symbol.dispose]: () => {
        agent.destroy();
      },
    };
  }
  const sessionManager = new Http2SessionManager(baseUrl, undefined, tls);
  const options = { baseUrl, httpVersion: "2", sessionManager, interceptors } as const;
  const compressed = { ...options, sendCompression: compressionGzip, compressMinBytes: 0 };
  const transports = {
    grpc: () => createGrpcTransport(options),
    "grpc, compressed": () => createGrpcTransport(compressed),
    connect: () => createConnectTransport(options),
  };
  return {
    transport: transports[wire](),
    [Symbol.dispose]: () => {
      sessionManager.abort();
    },
  };
}

/** Node has plain sockets send at once, but not those of TLS: the body of each request would wait for an acknowledgement. */
function promptAgent(tls: Proof["tls"]): HttpsAgent {
  const agent = new HttpsAgent({ keepAlive: true, ...tls });
  const createConnection = agent.createConnection.bind(agent);
  agent.createConnection = (...args) => {
    const socket = createConnection(...args);
    return socket instanceof Socket ? socket.setNoDelay() : socket;
  };
  return agent;
}

function bearing(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}
