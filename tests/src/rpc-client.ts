import { Agent } from "node:http";
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

/** A plain client of any service at a URL; nothing is repeated. @param token - is sent with each request */
export function openRpcClient(wire: Wire, baseUrl: string, token?: string): RpcClient {
  const interceptors = token === undefined ? [] : [bearing(token)];
  if (wire === "json" || wire === "grpc-web") {
    const agent = new Agent({ keepAlive: true });
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
  const sessionManager = new Http2SessionManager(baseUrl);
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

function bearing(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}
