export { backgroundClock, callAt, type Clock, longestTimerMs, systemClock, type Timer } from "./time.js";
export { type Gather, gatherByEventLoop } from "./gather.js";
export { Backoff, type BackoffOptions } from "./backoff.js";
export { compressedFlag, enveloped, envelopePrefixBytes, EnvelopeReader, MessageTooLargeError } from "./envelope.js";
export { FieldReader, MalformedMessageError } from "./field-reader.js";
export { FieldWriter } from "./field-writer.js";
