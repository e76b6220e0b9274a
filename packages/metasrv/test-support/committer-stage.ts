import { gatherByEventLoop } from "@metasrv/wire";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { pino } from "pino";
import { Fold } from "../src/fold/fold.js";
import type { Urgency } from "../src/log/command-log.js";
import { decodeEntry } from "../src/log/entry-codec.js";
import { Committer, type CommitterOptions } from "../src/log/etcd/committer.js";
import { LogKeys } from "../src/log/etcd/keys.js";
import type { EntryUnderWay } from "../src/log/etcd/log-writer.js";
import type { EtcdTxn } from "../src/log/etcd/rpc/etcd-client.js";
import { type Command, type Entry, knownLevel } from "../src/model/command.js";
import { FakeEtcd, noAnswer } from "./fake-etcd.js";
import { Told } from "./told.js";

/** A transaction that has arrived, to be answered by the test. */
export interface Arrived {
  readonly entry: Entry;
  readonly sequence: number;
  /** It is done, and answered. */
  answer(): Promise<void>;
  /** It is done, and the answer is lost. */
  loseAnswer(): Promise<void>;
  /** It is not done, and the answer is this error; by default, there is none. */
  fail(error?: Error): Promise<void>;
}

/** A committer over a fake etcd. */
export class CommitterStage {
  static readonly memberId = "0a";
  readonly etcd = new FakeEtcd();
  readonly clock = new ManualClock();
  readonly keys = new LogKeys("metasrv");
  readonly fold = new Fold();
  readonly committer: Committer;
  /** Transactions that wait for the test, if it {@link hold}s them. */
  readonly arrived: Arrived[] = [];
  /** Entries that are known to be in the log, and where. */
  readonly committed: { readonly entry: EntryUnderWay; readonly revision: bigint }[] = [];
  /** Members that were found to be gone. */
  readonly gone: string[] = [];
  /** Whether entries are folded as soon as they are known to be in the log. */
  folds = true;

  constructor(options: Partial<CommitterOptions> = {}) {
    this.committer = new Committer({
      txn: (txn) => this.etcd.txn(txn, 1_000),
      keys: this.keys,
      clock: this.clock,
      random: () => 0.5,
      gather: gatherByEventLoop,
      logger: pino({ level: "silent" }),
      hosts: ["etcd"],
      requestTimeoutMs: 5_000,
      maxInFlight: 4,
      state: () => ({ level: knownLevel, seen: undefined }),
      delivered: () => 0n,
      heard: () => undefined,
      committed: (entry, revision) => {
        this.committed.push({ entry, revision });
        if (this.folds) {
          this.settle(entry, revision);
        }
      },
      memberGone: (memberId) => this.gone.push(memberId),
      ...options,
    });
  }

  /** This process is a member. */
  join(memberId = CommitterStage.memberId, first?: Command): void {
    const revision = this.etcd.write(this.keys.member(memberId), "", 10n);
    this.committer.joined(memberId, revision, first);
  }

  append(command: Command, urgency: Urgency = "soon"): Told {
    const told = new Told();
    this.committer.append(command, told, urgency);
    return told;
  }

  /** Transactions wait for the test from now on. */
  hold(): void {
    this.etcd.behaviour = (call, run) =>
      new Promise((resolve, reject) => {
        if (call.kind !== "txn") {
          resolve(run());
          return;
        }
        this.arrived.push({
          ...this.#entryOf(call.txn),
          answer: () => {
            resolve(run());
            return settled();
          },
          loseAnswer: () => {
            run();
            reject(noAnswer());
            return settled();
          },
          fail: (error = noAnswer()) => {
            reject(error);
            return settled();
          },
        });
      });
  }

  /** The next transaction that has arrived, or comes with what is due. */
  async next(): Promise<Arrived> {
    await settled();
    const next = this.arrived.shift();
    if (next === undefined) {
      throw new Error("no transaction has arrived");
    }
    return next;
  }

  /** Numbers of commands of the entries in the log, oldest first. */
  get sizes(): number[] {
    return this.entries.map(({ commands }) => commands.length);
  }

  /** The entries in the log, oldest first. */
  get entries(): Entry[] {
    const { key, end } = this.keys.entries;
    return this.etcd
      .execute({ compare: [], success: [{ kind: "range", key, end }], failure: [] })
      .read.flat()
      .sort((a, b) => Number(a.modRevision - b.modRevision))
      .map(({ value }) => decodeEntry(value, knownLevel));
  }

  settle(under: EntryUnderWay, revision: bigint): void {
    const { memberId, sequence, entry } = under;
    const outcomes = this.fold.apply({ memberId, sequence, revision, entry }, true);
    this.committer.settle(under, outcomes ?? []);
  }

  #entryOf({ success }: EtcdTxn): { readonly entry: Entry; readonly sequence: number } {
    const put = success.find((op) => op.kind === "put");
    const key = this.keys.parse(put?.key ?? Buffer.alloc(0));
    if (put === undefined || key?.kind !== "entry") {
      throw new Error("a committer writes entries only");
    }
    return { entry: decodeEntry(put.value, knownLevel), sequence: key.sequence };
  }
}
