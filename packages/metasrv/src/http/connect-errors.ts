import { Code, ConnectError } from "@connectrpc/connect";

/** What Connect says of a message that is marked as compressed, where no compression was announced. */
export function compressedUnexpectedly(): ConnectError {
  return new ConnectError("received compressed envelope, but do not know how to decompress", Code.Internal);
}

/** What Connect says of bytes that end within a message. */
export function incompleteEnvelope(): ConnectError {
  return new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
}
