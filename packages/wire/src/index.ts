export { Backoff, type BackoffOptions } from "./backoff.js";
export { compressedFlag, enveloped, EnvelopeReader, MessageTooLargeError } from "./envelope.js";
export { decode, FieldReader, MalformedMessageError, noBytes, tagOf, wireType } from "./field-reader.js";
export { encode, encodeEnvelope, FieldWriter } from "./field-writer.js";
export { HashTable } from "./hash-table.js";
export { closeOutsideOfReading, endOutsideOfReading } from "./http2-endings.js";
export {
  createTicketIds,
  newTicketId,
  readGrant,
  readLockRequest,
  readRenewRequest,
  readUnlockRequest,
  ticketIdLength,
  writeLockResponse,
  writeLockSummary,
  writeRenewResponse,
  writeUnlockResponse,
} from "./lock-messages.js";
export { NumberTable, Roster, type RosterMember } from "./roster.js";
export {
  readSessionRequest,
  readSessionResponse,
  writeSessionCommand,
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
