import { type MethodDefinition, Server, ServerCredentials } from "@grpc/grpc-js";
import { encodeGrant } from "../wire/lock-messages.js";
import { announce } from "./announce.js";

/**
 * A grpc-js server with the paths of metasrv's lock service that does nothing. It does not decode requests, and answers
 * with bytes that it has ready.
 */
const granted = encodeGrant(Buffer.alloc(48, 1));
const nothing = Buffer.alloc(0);

const asBytes = (bytes: Buffer): Buffer => bytes;

function unary(name: string): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/metasrv.v1.LockService/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: asBytes,
    requestDeserialize: asBytes,
    responseSerialize: asBytes,
    responseDeserialize: asBytes,
  };
}

const server = new Server();
server.addService(
  { Lock: unary("Lock"), Unlock: unary("Unlock") },
  {
    Lock: (_call: unknown, answer: (error: null, bytes: Buffer) => void) => {
      answer(null, granted);
    },
    Unlock: (_call: unknown, answer: (error: null, bytes: Buffer) => void) => {
      answer(null, nothing);
    },
  },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) {
    throw error;
  }
  announce({ address: "127.0.0.1", port, family: "IPv4" });
});
