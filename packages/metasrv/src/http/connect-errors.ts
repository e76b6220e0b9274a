import { Code, ConnectError } from "@connectrpc/connect";

/**
 * The error that Connect itself uses for a message that is marked as compressed although no compression was announced.
 */
export function compressedUnexpectedly(): ConnectError {
  return new ConnectError("received compressed envelope, but do not know how to decompress", Code.Internal);
}

/** The error that Connect itself uses for bytes that end in the middle of a message. */
export function incompleteEnvelope(): ConnectError {
  return new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
}
