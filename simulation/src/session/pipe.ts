import type { Network } from "../network.js";
import type { SimulatedProcess } from "../simulated-process.js";

/** Where a pipe leads. */
export interface PipeOptions<Message> {
  readonly network: Network;
  readonly client: string;
  readonly node: string;
  /** The process at the pipe's end. */
  readonly to: SimulatedProcess;
  /** What arrives, in words for people. */
  readonly label: string;
  readonly receive: (message: Message) => void;
}

/** How many messages may be on their way before the writer must wait for the reader. */
const window = 4;

/** One direction of a stream. What is sent arrives later, in the same order, until the pipe is closed. */
export class Pipe<Message> {
  readonly #options: PipeOptions<Message>;
  readonly #undelivered: Message[] = [];
  /** How many messages have arrived that the reader has not taken yet. */
  #arrived = 0;
  #reading = true;
  #closed = false;
  #onWritable: (() => void) | undefined;

  constructor(options: PipeOptions<Message>) {
    this.#options = options;
  }

  /** Whether more should be sent now. */
  get writable(): boolean {
    return this.#undelivered.length < window;
  }

  /** Calls back once it is writable again. */
  whenWritable(callback: () => void): void {
    this.#onWritable = callback;
  }

  send(message: Message): void {
    if (this.#closed) {
      return;
    }
    const { network, client, node, to, label } = this.#options;
    this.#undelivered.push(message);
    network.send(client, node, () => {
      to.arrive(network.delayMs(), label, () => {
        this.#arrived++;
        this.#deliver();
      });
    });
  }

  /** Whether the reader takes what arrives. */
  read(on: boolean): void {
    this.#reading = on;
    this.#deliver();
  }

  /** What has not arrived yet never arrives. */
  close(): void {
    this.#closed = true;
    this.#undelivered.length = 0;
  }

  // With each arrival, the oldest message is delivered, because one that was held up holds up those behind it.
  #deliver(): void {
    while (this.#reading && this.#arrived > 0) {
      this.#arrived--;
      const message = this.#undelivered.shift();
      if (message === undefined) {
        return;
      }
      const onWritable = this.#onWritable;
      if (onWritable !== undefined && this.writable) {
        this.#onWritable = undefined;
        onWritable();
      }
      this.#options.receive(message);
    }
  }
}
