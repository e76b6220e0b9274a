import type { LockName } from "../model/ticket-ref.js";
import type { LockMeter, NodeObserver } from "../node/node-observer.js";
import { Buckets, commandsBounds, secondsBounds } from "./buckets.js";
import { Families } from "./families.js";
import type { Family } from "./family.js";

/** What this server counts while it runs. It costs a few additions a request; the page is made of it when it is asked for. */
export class Metrics implements NodeObserver {
  readonly families: Families;
  deadlocks = 0;
  /** Requests that were not allowed, by the reason. */
  readonly denials = new Map<string, number>();
  /** How long etcd took to write an entry, in seconds, and how many commands it had. */
  readonly txnSeconds = new Buckets(secondsBounds);
  readonly txnCommands = new Buckets(commandsBounds);

  /** @param patterns - see {@link Families} */
  constructor(patterns: readonly string[] = []) {
    this.families = new Families(patterns);
  }

  meterOf(name: LockName): LockMeter {
    return this.families.of(name);
  }

  /** The family in which a lock is counted, for the fold to count by. */
  readonly groupOf = (name: LockName): Family => this.families.of(name);

  rejected(): void {
    this.families.other.ended("failed");
  }

  deadlock(): void {
    this.deadlocks++;
  }

  /** A request was not allowed. @param reason - a word for a label, one of few */
  denied(reason: string): void {
    this.denials.set(reason, (this.denials.get(reason) ?? 0) + 1);
  }

  /** etcd has answered a write. */
  readonly entryWritten = (tookMs: number, commands: number): void => {
    this.txnSeconds.add(tookMs / 1000);
    this.txnCommands.add(commands);
  };
}
