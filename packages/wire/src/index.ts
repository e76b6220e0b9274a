export { Backoff, type BackoffOptions } from "./backoff.js";
export { compressedFlag, enveloped, envelopePrefixBytes, EnvelopeReader, MessageTooLargeError } from "./envelope.js";
export { decode, FieldReader, MalformedMessageError, noBytes, tagOf, wireType } from "./field-reader.js";
export { encode, encodeEnvelope, FieldWriter } from "./field-writer.js";
export { closeOutsideOfReading, endOutsideOfReading } from "./http2-endings.js";
export {
  createTicketIds,
  newTicketId,
  readGrant,
  readLockRequest,
  readLockResponse,
  readLockState,
  readRefusal,
  readRenewRequest,
  readRenewResponse,
  readUnlockRequest,
  readUnlockResponse,
  ticketIdLength,
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
export { NumberTable, Roster, type RosterMember } from "./roster.js";
export {
  readSessionRequest,
  readSessionResponse,
  writeSessionCommand,
  writeSessionRequest,
  writeSessionResponse,
} from "./session-messages.js";
export {
  backgroundClock,
  callAt,
  type Clock,
  type Gather,
  gatherByEventLoop,
  longestTimerMs,
  systemClock,
  type Timer,
} from "./time.js";
