import { Agent } from "node:http";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

/** How a plain client speaks: gRPC, Connect over HTTP/2, or JSON over HTTP/1.1 as curl would. */
export type Wire = "grpc" | "connect" | "json";

/** A transport and its connections. Disposing of it closes them. */
export interface RpcClient extends Disposable {
  readonly transport: Transport;
}

/** A plain client of any service at a URL; nothing is repeated. */
export function openRpcClient(wire: Wire, baseUrl: string): RpcClient {
  if (wire === "json") {
    const agent = new Agent({ keepAlive: true });
    const transport = createConnectTransport({
      baseUrl,
      httpVersion: "1.1",
      nodeOptions: { agent },
      useBinaryFormat: false,
    });
    return {
      transport,
      [Symbol.dispose]: () => {
        agent.destroy();
      },
    };
  }
  const sessionManager = new Http2SessionManager(baseUrl);
  const create = wire === "grpc" ? createGrpcTransport : createConnectTransport;
  return {
    transport: create({ baseUrl, httpVersion: "2", sessionManager }),
    [Symbol.dispose]: () => {
      sessionManager.abort();
    },
  };
}
