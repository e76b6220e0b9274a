import type { Random } from "../random.js";
import type { SimulatedProcess } from "../simulated-process.js";
import type { StoreCluster } from "./store-cluster.js";

/** How often messages go wrong on the way, each as a probability. Changed while a run goes on. */
export interface LinkFaults {
  /** A request or an answer is lost. */
  loss: number;
  /** A request takes effect long after its caller has given it up. */
  late: number;
  /** A request takes effect twice. */
  doubled: number;
}

/** How long a link may be silent before grpc gives up its streams. */
const keepAliveMs = 9_000;

export type Direction = "to the store" | "from the store";

/**
 * The network between one node and the store. Either direction can be cut. What is sent meanwhile is lost or comes
 * later.
 */
export class StoreLink {
  readonly process: SimulatedProcess;
  readonly random: Random;
  readonly cluster: StoreCluster;
  readonly #faults: LinkFaults;
  readonly #delayMs: number;
  readonly #cut = new Set<Direction>();
  readonly #held: { readonly direction: Direction; readonly send: () => void }[] = [];
  readonly #streams = new Set<{ fail(error: Error): void }>();
  #cuts = 0;
  /** How far the watches are behind, in milliseconds. */
  watchLagMs = 0;

  constructor(process: SimulatedProcess, cluster: StoreCluster, random: Random, faults: LinkFaults, delayMs: number) {
    this.process = process;
    this.cluster = cluster;
    this.random = random;
    this.#faults = faults;
    this.#delayMs = delayMs;
  }

  isCut(direction: Direction): boolean {
    return this.#cut.has(direction);
  }

  cut(direction: Direction): void {
    this.#cut.add(direction);
    const cuts = ++this.#cuts;
    this.process.arrive(keepAliveMs, "its streams to the store have been silent for too long", () => {
      if (this.#cut.size > 0 && this.#cuts === cuts) {
        this.breakStreams();
      }
    });
  }

  heal(): void {
    this.#cut.clear();
    this.#cuts++;
    for (const { direction, send } of this.#held.splice(0)) {
      if (this.random.chance(0.5)) {
        this.send(direction, send);
      }
    }
  }

  /** All streams of the node end. */
  breakStreams(): void {
    for (const stream of [...this.#streams]) {
      stream.fail(new Error("14 UNAVAILABLE: Connection dropped"));
    }
  }

  opened(stream: { fail(error: Error): void }): void {
    this.#streams.add(stream);
  }

  closed(stream: { fail(error: Error): void }): void {
    this.#streams.delete(stream);
  }

  /** How long the next message takes. */
  delayMs(): number {
    return this.random.chance(0.05)
      ? this.random.between(this.#delayMs, 20 * this.#delayMs)
      : this.random.between(0.05, this.#delayMs);
  }

  /** Carries a message. What comes from the store arrives at the node's process. */
  send(direction: Direction, deliver: () => void, label = "message", delayMs = this.delayMs()): void {
    if (this.#cut.has(direction)) {
      this.#held.push({ direction, send: deliver });
    } else if (direction === "from the store") {
      this.process.arrive(delayMs, label, deliver);
    } else {
      // The message is on its way, even if its sender is gone.
      this.cluster.schedule(delayMs, `${this.process.name} to etcd: ${label}`, deliver);
    }
  }

  /**
   * One request and its answer.
   *
   * @throws Error when the store refused it, the connection broke, or no answer came in time
   */
  call<Answer>(label: string, timeoutMs: number, execute: () => Answer): Promise<Answer> {
    const { random } = this;
    return new Promise((resolve, reject) => {
      const fail = (message: string) => {
        timer.cancel();
        reject(new Error(message));
      };
      const timer = this.process.timer(timeoutMs, `deadline of ${label}`, () => {
        fail("4 DEADLINE_EXCEEDED: Deadline exceeded");
      });
      if (random.chance(this.#faults.loss)) {
        return;
      }
      const arrived = () => {
        this.cluster.whenLed(() => {
          const outcome = attempt(execute);
          if (random.chance(this.#faults.doubled)) {
            this.cluster.schedule(random.between(0, 4_000), `${this.process.name}'s ${label} once more`, () => {
              attempt(execute);
            });
          }
          if (random.chance(this.#faults.loss)) {
            if (random.chance(0.5)) {
              this.send(
                "from the store",
                () => {
                  fail("14 UNAVAILABLE: Connection dropped");
                },
                "connection dropped",
              );
            }
            return;
          }
          this.send(
            "from the store",
            () => {
              if ("error" in outcome) {
                fail(outcome.error.message);
              } else {
                timer.cancel();
                resolve(outcome.answer);
              }
            },
            `answer to ${label}`,
          );
        });
      };
      const late = random.chance(this.#faults.late);
      this.send(
        "to the store",
        arrived,
        label,
        late ? random.between(timeoutMs, 2 * timeoutMs + 4_000) : this.delayMs(),
      );
    });
  }
}

function attempt<Answer>(execute: () => Answer): { readonly answer: Answer } | { readonly error: Error } {
  try {
    return { answer: execute() };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
}
