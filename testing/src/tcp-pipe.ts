import type { Socket } from "node:net";

/** What a {@link TcpPipe} asks its owner. */
export interface TcpPipeOptions {
  /** Whether it is paused at first. */
  readonly paused: boolean;
  /** Delay of a chunk that arrives now. */
  readonly latencyMs: () => number;
  /** Called just before a chunk is sent; returns the part of it to send. */
  readonly pass: (chunk: Buffer) => Buffer | undefined;
}

interface Parcel {
  readonly dueAt: number;
  /** Absent: the sender has ended. */
  readonly chunk?: Buffer;
}

/** One direction of a proxied connection: passes chunks on in order, each after its delay, and can hold them back. */
export class TcpPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #options: TcpPipeOptions;
  readonly #queue: Parcel[] = [];
  #paused: boolean;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, options: TcpPipeOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#paused = options.paused;
    from.on("data", (chunk: Buffer) => {
      this.#enqueue({ dueAt: performance.now() + options.latencyMs(), chunk });
    });
    from.on("end", () => {
      this.#enqueue({ dueAt: performance.now() + options.latencyMs() });
    });
    to.on("drain", () => {
      if (!this.#paused && !this.#stopped) {
        from.resume();
      }
    });
    // Unread bytes stay in the kernel, so the sender notices the pause as it would notice a dead network.
    if (this.#paused) {
      from.pause();
    }
  }

  /** Holds back what arrives from now on and what waits for its delay. */
  pause(): void {
    this.#paused = true;
    this.#from.pause();
  }

  /** Goes on where {@link pause} stopped. */
  resume(): void {
    this.#paused = false;
    this.#from.resume();
    this.#flush();
  }

  /** Passes nothing on any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #enqueue(parcel: Parcel): void {
    this.#queue.push(parcel);
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    for (let parcel = this.#queue[0]; parcel !== undefined; parcel = this.#queue[0]) {
      if (this.#paused || this.#stopped) {
        return;
      }
      const early = parcel.dueAt - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => {
          this.#flush();
        }, early);
        return;
      }
      this.#queue.shift();
      this.#send(parcel);
    }
  }

  #send({ chunk }: Parcel): void {
    if (chunk === undefined) {
      this.#to.end();
      return;
    }
    const passed = this.#options.pass(chunk);
    if (passed !== undefined && !this.#to.write(passed)) {
      this.#from.pause();
    }
  }
}
