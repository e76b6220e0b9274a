import { gatherByEventLoop } from "@metasrv/wire";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { type Logger, pino } from "pino";
import { Fold } from "../src/fold/fold.js";
import type { Urgency } from "../src/log/command-log.js";
import { encodeEntry } from "../src/log/entry-codec.js";
import { EtcdLog, type EtcdLogParts } from "../src/log/etcd/etcd-log.js";
import { LogKeys } from "../src/log/etcd/keys.js";
import { encodeMember } from "../src/log/etcd/listing.js";
import type { EtcdClient } from "../src/log/etcd/rpc/etcd-client.js";
import { type Command, type Entry, knownLevel } from "../src/model/command.js";
import type { StoredMember } from "../src/model/member.js";
import type { TicketRef } from "../src/model/ticket-ref.js";
import { FakeEtcd } from "./fake-etcd.js";
import { Told } from "./told.js";

/** One line of a log. */
export interface Logged {
  readonly level: "debug" | "info" | "warn" | "error" | "fatal";
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A logger whose lines the test reads. */
export function recordingLogger(): { readonly logger: Logger; readonly lines: Logged[] } {
  const lines: Logged[] = [];
  const logger = pino(
    { level: "debug", base: null, timestamp: false, formatters: { level: (level) => ({ level }) } },
    {
      write: (line: string) => {
        lines.push(JSON.parse(line) as Logged);
      },
    },
  );
  return { logger, lines };
}

/** Lets everything go on that does not wait for time. */
export async function goOn(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await settled();
  }
}

/** What is not as usual in a stage. */
export interface LogStageOptions extends Partial<EtcdLogParts> {
  readonly etcd?: FakeEtcd;
  readonly clock?: ManualClock;
  readonly prefix?: string;
  /** By what this log reads, where it is not to be the etcd itself. */
  readonly range?: EtcdClient["range"];
}

/** A whole log over a fake etcd, with what it tells. */
export class LogStage {
  readonly etcd: FakeEtcd;
  readonly clock: ManualClock;
  readonly keys: LogKeys;
  readonly fold: Fold;
  readonly log: EtcdLog;
  readonly lines: Logged[];
  /** What was told of the membership: `joined 10`, `lost`. */
  readonly membership: string[] = [];
  /** The members as they were told last. */
  members: readonly StoredMember[] = [];
  /** The tickets that were told to be strays. */
  readonly strays: (readonly TicketRef[] | undefined)[] = [];
  /** What has ended the process. */
  readonly fatal: Error[] = [];

  constructor({
    etcd = new FakeEtcd(),
    clock = new ManualClock(),
    prefix = "metasrv",
    range = etcd.range.bind(etcd),
    ...parts
  }: LogStageOptions = {}) {
    this.etcd = etcd;
    this.clock = clock;
    this.keys = new LogKeys(prefix);
    this.fold = new Fold(undefined, parts.knownLevel);
    const { logger, lines } = recordingLogger();
    this.lines = lines;
    this.log = new EtcdLog({
      client: { ...clientOf(etcd), range, close: () => undefined },
      keys: this.keys,
      txn: (txn) => etcd.txn(txn, 1_000),
      gather: gatherByEventLoop,
      random: () => 0.5,
      unixMs: () => 1,
      checkMs: 1_000,
      maxInFlight: 4,
      minLogBytes: 32 * 1024 * 1024,
      knownLevel,
      hosts: ["etcd"],
      clock,
      logger,
      fatal: (error) => this.fatal.push(error),
      connectTimeoutMs: 1_000,
      requestTimeoutMs: 5_000,
      memberTtlSeconds: 12,
      quotaBytes: 2 * 1024 ** 3,
      ...parts,
    });
  }

  /** Opens the log, and joins unless it is only to read. */
  async start({ joins = true } = {}): Promise<this> {
    await this.log.open(this.fold, {
      members: (members) => {
        this.members = members;
      },
      strays: (tickets) => {
        this.strays.push(tickets);
      },
    });
    if (joins) {
      await this.join();
    }
    await goOn();
    return this;
  }

  join(): Promise<void> {
    return this.log.join(
      { address: "here:1", version: "0", startedUnixMs: 0 },
      {
        joined: (memberId) => this.membership.push(`joined ${Number.parseInt(memberId, 16).toString(16)}`),
        extended: () => undefined,
        lost: () => this.membership.push("lost"),
      },
    );
  }

  append(command: Command, urgency: Urgency = "soon"): Told {
    const told = new Told();
    this.log.append(command, told, urgency);
    return told;
  }

  /** Writes a command, and waits for its outcome. */
  async write(command: Command): Promise<Told> {
    const told = this.append(command);
    await goOn();
    return told;
  }

  /** What was logged at a level and above it, as texts. */
  logged(...levels: readonly Logged["level"][]): string[] {
    return this.lines.filter(({ level }) => levels.includes(level)).map(({ msg }) => msg);
  }

  async close(): Promise<void> {
    const closed = this.log.close();
    await this.clock.advance(10_000);
    await closed;
  }
}

/** What others write. */
export class Others {
  readonly etcd: FakeEtcd;
  readonly keys: LogKeys;
  #sequence = 0;

  constructor(etcd: FakeEtcd, keys = new LogKeys("metasrv")) {
    this.etcd = etcd;
    this.keys = keys;
  }

  /** Another member comes. */
  async join(level = knownLevel): Promise<string> {
    const { lease } = await this.etcd.grantLease(60, 1_000);
    const memberId = lease.toString(16).padStart(16, "0");
    this.etcd.write(
      this.keys.member(memberId),
      encodeMember({ address: "there:1", version: "0", startedUnixMs: 0, level }),
      lease,
    );
    return memberId;
  }

  /** A member writes an entry. @returns its revision */
  write(memberId: string, commands: readonly Command[], entry: Partial<Entry> = {}): bigint {
    const whole = { level: knownLevel, settled: this.#sequence, seen: undefined, commands, ...entry };
    return this.etcd.write(this.keys.entry(memberId, ++this.#sequence), encodeEntry(whole));
  }
}

function clientOf(etcd: FakeEtcd) {
  return {
    txn: etcd.txn.bind(etcd),
    put: etcd.put.bind(etcd),
    watch: etcd.watch.bind(etcd),
    grantLease: etcd.grantLease.bind(etcd),
    keepLeaseAlive: etcd.keepLeaseAlive.bind(etcd),
    revokeLease: etcd.revokeLease.bind(etcd),
    databaseBytes: etcd.databaseBytes.bind(etcd),
  };
}
