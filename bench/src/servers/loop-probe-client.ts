import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** The longest pause of an event loop in a short period. */
export interface Pause {
  /** On the clock of `Date.now()`. */
  readonly sinceUnixMs: number;
  readonly untilUnixMs: number;
  /** How long the event loop did nothing that was due. */
  readonly longestMs: number;
}

/** Asks a process of Node that was started with {@link LoopProbe.env} for the pauses of its event loop. */
export class LoopProbe implements AsyncDisposable {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Creates the socket at which the server and the probe meet. */
  static async create(): Promise<LoopProbe> {
    return new LoopProbe(await mkdtemp(join(tmpdir(), "metasrv-loop-")));
  }

  /** Variables that the process must be started with. */
  get env(): Readonly<Record<string, string>> {
    return {
      NODE_OPTIONS: `--import=${new URL("loop-probe.js", import.meta.url).href}`,
      LOOP_PROBE_SOCKET: this.#socket,
    };
  }

  /** All periods since the process started, without a gap. */
  async pauses(): Promise<readonly Pause[]> {
    return JSON.parse(await text(connect(this.#socket))) as readonly Pause[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true });
  }

  get #socket(): string {
    return join(this.#dir, "probe");
  }
}
