import { fileURLToPath } from "node:url";
import { Child } from "@metasrv/testing";

/** A server that does nothing, in a process of its own. */
export interface FloorServer extends AsyncDisposable {
  /** As host:port. */
  readonly address: string;
  readonly pid: number;
}

/** Starts one of the programs in `floors/` and resolves when it listens. */
export async function startFloorServer(
  program: "connect-noop-server" | "grpc-noop-server" | "stream-noop-server",
): Promise<FloorServer> {
  let tell: (address: string) => void = () => undefined;
  const listening = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const child = await Child.start({
    command: process.execPath,
    args: [fileURLToPath(new URL(`../floors/${program}.js`, import.meta.url))],
    env: process.env,
    onStdoutLine: (line) => {
      const [word, address] = line.split(" ");
      if (word === "listening" && address !== undefined) {
        tell(address);
      }
    },
  });
  const ended = child.exited.then(() => {
    throw new Error(`${program} ended; ${child.tail}`);
  });
  const address = await Promise.race([listening, ended]);
  return { address, pid: child.pid, [Symbol.asyncDispose]: () => child.kill() };
}
