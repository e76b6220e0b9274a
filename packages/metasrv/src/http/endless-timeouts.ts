import * as connectProtocol from "@connectrpc/connect/protocol-connect";
import * as grpcProtocol from "@connectrpc/connect/protocol-grpc";
import { longestTimerMs } from "@metasrv/wire";

const timeouts = [
  ["connect-timeout-ms", connectProtocol.parseTimeout],
  ["grpc-timeout", grpcProtocol.parseTimeout],
] as const;

/**
 * Takes out the timeout of a call that is longer than a timer of Node can be: such a timer would end at once, with a warning on the
 * standard error. No process waits that long.
 */
export function dropEndlessTimeouts(headers: Headers): void {
  for (const [name, parse] of timeouts) {
    const { timeoutMs = 0 } = parse(headers.get(name), Infinity);
    if (timeoutMs > longestTimerMs) {
      headers.delete(name);
    }
  }
}
