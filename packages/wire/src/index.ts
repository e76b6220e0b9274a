export { Backoff, type BackoffOptions } from "./backoff.js";
export { decode } from "./decode.js";
export { compressedFlag, enveloped, envelopePrefixBytes, EnvelopeReader, MessageTooLargeError } from "./envelope.js";
export { FieldReader, MalformedMessageError } from "./field-reader.js";
export { encode, encodeEnvelope, FieldWriter } from "./field-writer.js";
export { type Gather, gatherByEventLoop } from "./gather.js";
export {
  readGrant,
  readLockRequest,
  readLockResponse,
  readLockState,
  readRefusal,
  readRenewRequest,
  readRenewResponse,
  readUnlockRequest,
  readUnlockResponse,
  writeGrant,
  writeLockRequest,
  writeLockResponse,
  writeLockState,
  writeRefusal,
  writeRenewRequest,
  writeRenewResponse,
  writeUnlockRequest,
  writeUnlockResponse,
} from "./lock-messages.js";
export {
  readSessionRequest,
  readSessionResponse,
  writeSessionCommand,
  writeSessionRequest,
  writeSessionResponse,
} from "./session-messages.js";
export { createTicketIds, newTicketId, ticketIdLength } from "./ticket-id.js";
export { backgroundClock, callAt, type Clock, longestTimerMs, systemClock, type Timer } from "./time.js";
export { noBytes, tagOf, wireType } from "./wire-type.js";
