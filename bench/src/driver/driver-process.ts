import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { JobArgument, JobName, JobRequest, JobResponse, JobResult } from "./jobs.js";

const program = fileURLToPath(new URL("driver.js", import.meta.url));

/** A load generator in a process of its own, so that its CPU time is counted apart. It does one job at a time. */
export class DriverProcess implements AsyncDisposable {
  readonly pid: number;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, pid: number) {
    this.#process = process;
    this.pid = pid;
  }

  /** Starts the process. */
  static async start(): Promise<DriverProcess> {
    const process = fork(program, { execArgv: ["--expose-gc", "--max-old-space-size=8192"] });
    await once(process, "spawn");
    if (process.pid === undefined) {
      throw new Error("the load generator has no pid");
    }
    return new DriverProcess(process, process.pid);
  }

  /**
   * Does a job.
   *
   * @throws Error when the job failed or the process ended
   */
  async do<Name extends JobName>(name: Name, argument: JobArgument<Name>): Promise<JobResult<Name>> {
    const response = await new Promise<JobResponse>((resolve, reject) => {
      const ended = (code: number | null): void => {
        reject(new Error(`the load generator ended (code ${code}) while it did "${name}"`));
      };
      this.#process.once("exit", ended);
      this.#process.once("message", (message) => {
        this.#process.off("exit", ended);
        resolve(message as JobResponse);
      });
      this.#process.send({ name, argument } satisfies JobRequest<Name>);
    });
    if ("error" in response) {
      throw new Error(`the load generator failed at "${name}": ${response.error}`);
    }
    return response.result as JobResult<Name>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
      return;
    }
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
  }
}
