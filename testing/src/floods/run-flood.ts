import { fileURLToPath } from "node:url";
import { Child } from "../child.js";
import type { FloodResult } from "./flood.js";

const program = fileURLToPath(new URL("./main.js", import.meta.url));

/**
 * Runs a flood in a process of its own until it is over.
 *
 * @param address - of the server, as host:port
 * @throws Error when that process failed, or knows no such flood
 */
export async function runFlood(name: string, address: string): Promise<FloodResult> {
  const [host = "", port = ""] = address.split(":");
  let last = "";
  const child = await Child.start({
    command: process.execPath,
    args: [program, name, host, port],
    env: { PATH: process.env.PATH },
    onStdoutLine: (line) => {
      last = line;
    },
  });
  const { code, signal } = await child.exited;
  if (code !== 0) {
    throw new Error(`the flood "${name}" ended with code ${code}, signal ${signal}; ${child.tail}`);
  }
  return JSON.parse(last) as FloodResult;
}
