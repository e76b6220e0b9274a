import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { test } from "@jest/globals";

/**
 * `test` where a program of the system runs. It is for programs that cannot be had like those of `findOrInstall`: elsewhere the
 * test is shown as skipped, with the reason in its title, so that nobody takes it for run.
 *
 * @param probe - arguments with which the program ends well wherever it is there
 */
export async function testWith(program: string, ...probe: readonly string[]): Promise<typeof test.skip> {
  try {
    await promisify(execFile)(program, probe);
    return test;
  } catch {
    return ((title: string, body: () => Promise<void>) => {
      test.skip(`${title} (${[program, ...probe].join(" ")} does not run here)`, body);
    }) as typeof test.skip;
  }
}
