import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** Asks a Node process that was started with {@link HeapProbe.env} how much memory it uses. */
export class HeapProbe implements AsyncDisposable {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Creates the socket at which the process and the probe meet. */
  static async create(): Promise<HeapProbe> {
    return new HeapProbe(await mkdtemp(join(tmpdir(), "metasrv-probe-")));
  }

  /** Variables that the process must be started with. */
  get env(): Readonly<Record<string, string>> {
    return {
      NODE_OPTIONS: `--import=${new URL("heap-probe.js", import.meta.url).href}`,
      HEAP_PROBE_SOCKET: this.#socket,
    };
  }

  /** Bytes of the heap, and of buffers outside of it, that are in use after a garbage collection. */
  async bytesInUse(): Promise<number> {
    return Number(await text(connect(this.#socket)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true });
  }

  get #socket(): string {
    return join(this.#dir, "probe");
  }
}
