import type { ICompare, ITxnRequest, ITxnResponse } from "etcd3";
import pino from "pino";
import type { Gather } from "../src/locks/gather.js";
import { EtcdCommitter } from "../src/log/etcd/etcd-committer.js";
import { EtcdKeys } from "../src/log/etcd/etcd-keys.js";
import type { TicketOp } from "../src/log/ticket-log.js";
import { FakeEtcd } from "./fake-etcd.js";
import { ManualClock, settled } from "./manual-clock.js";
import { id, lock, ticketOf } from "./node-fixture.js";

export const unknown = new Error("14 UNAVAILABLE: connection dropped");
export const noSpace = new Error("etcdserver: mvcc: database space exceeded");

/** A transaction that has arrived at etcd and waits for the test. */
export interface Arrived {
  readonly request: ITxnRequest;
  /** Takes effect and is answered. */
  run(): void;
  /** Takes effect, and the answer is lost. */
  runLost(): void;
  /** Fails, without effect. */
  fail(error: Error): void;
}

const keys = new EtcdKeys("p");

/** A committer of the member `m1` over an etcd of which the test decides when transactions run. */
export function setUp(
  options: {
    readonly maxTxnOps?: number;
    readonly serverTxnOps?: number;
    readonly maxInFlight?: number;
    readonly gather?: Gather;
  } = {},
) {
  const etcd = new FakeEtcd();
  etcd.put(keys.member("m1"));
  const clock = new ManualClock();
  const arrived: Arrived[] = [];
  const committed: (readonly [revision: bigint, ops: readonly TicketOp[]])[] = [];
  const { maxInFlight = 1 } = options;
  let inFlight = 0;
  const committer = new EtcdCommitter({
    txn: (request) =>
      new Promise<ITxnResponse>((resolve, reject) => {
        if (++inFlight > maxInFlight) {
          throw new Error("too many transactions are in flight");
        }
        const settle = (act: () => void) => () => {
          inFlight--;
          act();
        };
        const execute = () => etcd.execute(request, options.serverTxnOps);
        arrived.push({
          request,
          run: settle(() => {
            void Promise.resolve().then(execute).then(resolve, reject);
          }),
          runLost: settle(() => {
            execute();
            reject(unknown);
          }),
          fail: (error) => {
            settle(() => {
              reject(error);
            })();
          },
        });
      }),
    committed: (revision, ops) => committed.push([revision, ops]),
    keys,
    clock,
    gather: options.gather ?? queueMicrotask,
    logger: pino({ level: "silent" }),
    hosts: ["h:1"],
    requestTimeoutMs: 10_000,
    maxTxnOps: options.maxTxnOps ?? 128,
    maxInFlight,
  });
  /** The next transaction, once it has arrived; pauses between attempts pass. */
  const next = async (): Promise<Arrived> => {
    await settled();
    if (arrived.length === 0) {
      await clock.advance(1_000);
    }
    const first = arrived.shift();
    if (first === undefined) {
      throw new Error("no transaction has arrived");
    }
    return first;
  };
  /** Runs transactions until none comes any more, and says how many ops each had. */
  const runAll = async (): Promise<number[]> => {
    const widths: number[] = [];
    await settled();
    while (arrived.length > 0) {
      const txn = await next();
      widths.push(width(txn));
      txn.run();
      await settled();
    }
    return widths;
  };
  /** The lease of a member lapses. */
  const memberGoes = (id = "m1"): void => {
    etcd.delete(keys.member(id));
  };
  const memberJoins = (id: string): void => {
    etcd.put(keys.member(id));
  };
  return { etcd, clock, arrived, committed, committer, next, runAll, memberGoes, memberJoins };
}

export function create(n: number, name = "a", onlyIfFree = false, memberId = "m1"): TicketOp {
  return { kind: "create", name: lock(name), id: id(n), ticket: ticketOf(memberId), onlyIfFree };
}

/** Writes a ticket for the first time since its creation. */
export function update(n: number, modRevision: bigint, name = "a", ttlMs = 500): TicketOp {
  return {
    kind: "update",
    name: lock(name),
    id: id(n),
    ticket: ticketOf("m1", { ttlMs }),
    createRevision: modRevision,
    modRevision,
  };
}

export function remove(n: number, createRevision: bigint, name = "a"): TicketOp {
  return { kind: "delete", name: lock(name), id: id(n), condition: { createRevision } };
}

export function read(n: number, name = "a"): TicketOp {
  return { kind: "read", name: lock(name), id: id(n) };
}

/** How many ops a transaction carries. */
export function width({ request }: Arrived): number {
  // An op that reads does nothing, but compares.
  return Math.max(request.success?.length ?? 0, ofTickets(request.compare ?? []).length);
}

/** Comparisons of tickets, without those of members. */
function ofTickets(compare: readonly ICompare[]): readonly ICompare[] {
  return compare.filter(({ key }) => key?.toString().startsWith("p/locks/"));
}

/** What was put and deleted by a transaction's ops, in their order. */
export function kinds({ request }: Arrived): string[] {
  return (request.success ?? [])
    .flatMap((op) => (op.request_txn === undefined ? [op] : (op.request_txn.success ?? [])))
    .map(({ request_put, request_delete_range }) =>
      request_put !== undefined ? "put" : request_delete_range !== undefined ? "delete" : "?",
    );
}
