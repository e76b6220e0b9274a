import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** @throws Error with what the command said, when it fails */
export async function runCommand(...[command = "", ...args]: readonly string[]): Promise<void> {
  await promisify(execFile)(command, args);
}
