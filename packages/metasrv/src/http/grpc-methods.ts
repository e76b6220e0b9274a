import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import * as greptime from "@metasrv/proto/greptime/v1/meta";
import { LockRequestSchema, LockService, RenewRequestSchema, UnlockRequestSchema } from "@metasrv/proto/metasrv/v1";
import {
  decode,
  encodeEnvelope,
  type FieldReader,
  type FieldWriter,
  readLockRequest,
  readRenewRequest,
  readUnlockRequest,
  writeLockResponse,
  writeRenewResponse,
  writeUnlockResponse,
} from "@metasrv/wire";
import type { Caller } from "../api/caller.js";
import { createGreptimeLockCalls } from "../api/greptime-lock-service.js";
import { createLockCalls } from "../api/lock-calls.js";
import type { ServiceDependencies } from "../session/service-dependencies.js";
import { readGreptimeLockRequest, readGreptimeUnlockRequest, writeGreptimeResponse } from "./greptime-messages.js";

/** A call of a unary method, as the method sees it. */
export interface UnaryCall extends Caller {
  /** The request, once it was read. */
  request: Message | undefined;
}

/** A unary method: it takes the bytes of a request and gives the bytes of the answer, prefix included. */
export interface GrpcMethod {
  /** As service/method. */
  readonly name: string;
  /** @throws ConnectError, or what the node throws */
  answer(request: Buffer, call: UnaryCall): Promise<Buffer>;
}

/** Makes a method of its parts. */
function grpcMethod<Request extends DescMessage, Response>(
  name: string,
  schema: Request,
  read: (reader: FieldReader) => MessageShape<Request>,
  answer: (request: MessageShape<Request>, caller: Caller) => Promise<Response>,
  write: (writer: FieldWriter, response: Response) => void,
): GrpcMethod {
  return {
    name,
    async answer(bytes, call) {
      const request = decode(schema, bytes, read);
      call.request = request;
      return encodeEnvelope(await answer(request, call), write);
    },
  };
}

/** The unary methods of this server. */
export function createGrpcMethods({ access, limits }: ServiceDependencies): readonly GrpcMethod[] {
  const { lock, unlock, renew } = createLockCalls(access);
  const original = createGreptimeLockCalls(access, limits);
  const ours = LockService.typeName;
  const theirs = greptime.Lock.typeName;
  return [
    grpcMethod(`${ours}/Lock`, LockRequestSchema, readLockRequest, lock, writeLockResponse),
    grpcMethod(`${ours}/Unlock`, UnlockRequestSchema, readUnlockRequest, unlock, writeUnlockResponse),
    grpcMethod(`${ours}/Renew`, RenewRequestSchema, readRenewRequest, renew, writeRenewResponse),
    grpcMethod(
      `${theirs}/Lock`,
      greptime.LockRequestSchema,
      readGreptimeLockRequest,
      original.lock,
      writeGreptimeResponse,
    ),
    grpcMethod(
      `${theirs}/Unlock`,
      greptime.UnlockRequestSchema,
      readGreptimeUnlockRequest,
      original.unlock,
      writeGreptimeResponse,
    ),
  ];
}
