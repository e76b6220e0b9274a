import * as greptime from "@metasrv/proto/greptime/v1/meta";
import { LockRequestSchema, LockService, RenewRequestSchema, UnlockRequestSchema } from "@metasrv/proto/metasrv/v1";
import { createGreptimeLockCalls } from "./greptime-lock-service.js";
import { type GrpcMethod, grpcMethod } from "./grpc-unary.js";
import { createLockCalls } from "./lock-calls.js";
import {
  readGreptimeLockRequest,
  readGreptimeUnlockRequest,
  readLockRequest,
  readRenewRequest,
  readUnlockRequest,
  writeGreptimeResponse,
  writeLockResponse,
  writeRenewResponse,
} from "./lock-messages.js";
import type { ServiceDependencies } from "./routes.js";

/** The unary methods of this server. */
export function createGrpcMethods({ locks, limits }: ServiceDependencies): readonly GrpcMethod[] {
  const { lock, unlock, renew } = createLockCalls(locks);
  const original = createGreptimeLockCalls(locks, limits);
  const ours = LockService.typeName;
  const theirs = greptime.Lock.typeName;
  return [
    grpcMethod(`${ours}/Lock`, LockRequestSchema, readLockRequest, lock, writeLockResponse),
    grpcMethod(`${ours}/Unlock`, UnlockRequestSchema, readUnlockRequest, unlock, () => undefined),
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
