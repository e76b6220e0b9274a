import pino from "pino";
import type { Claim, ClaimRequest } from "../src/locks/claim.js";
import { defaultLimits, type Limits } from "../src/locks/limits.js";
import { escapeLockName } from "../src/locks/lock-name.js";
import { LockStore } from "../src/locks/lock-store.js";
import { ticketIdFrom } from "../src/locks/ticket-id.js";
import type { LockName, StoredTicket, Ticket, TicketId, TicketLog } from "../src/log/ticket-log.js";
import { ManualClock, settled } from "./manual-clock.js";
import { Recorder } from "./recorder.js";
import { ScriptedTicketLog } from "./scripted-ticket-log.js";

const member = { address: "127.0.0.1:3002", version: "0.0.0", startedUnixMs: 0 };

/** A request; the lock is `orders` unless said otherwise. */
export type Ask = Omit<ClaimRequest, "name" | "ticketId"> & {
  readonly name?: string;
  /** The requester chooses the ticket id, and so knows it. */
  readonly ticket?: number;
};

/** A request that was made. */
export interface Asked extends Pick<Recorder, "told" | "grants" | "errors" | "refusals" | "grant"> {
  readonly claim: Claim;
}

/** One node, whose time and log are the test's. */
export class NodeFixture<Log extends TicketLog> {
  readonly clock: ManualClock;
  readonly store: LockStore;
  readonly log: Log;

  constructor(log: Log, limits: Partial<Limits> = {}, clock = new ManualClock()) {
    this.log = log;
    this.clock = clock;
    let randoms = 0;
    this.store = new LockStore({
      log,
      clock: this.clock,
      limits: { ...defaultLimits, ...limits },
      logger: pino({ level: "silent" }),
      random: (bytes) => new Uint8Array(bytes).fill(0xff).fill(randoms++ & 0xff, 0, 1),
    });
  }

  async start(): Promise<this> {
    await this.store.start(member);
    return this;
  }

  /** Asks for a lock and does not wait for anything. */
  ask({ name = "orders", ticket, ...request }: Ask = {}): Asked {
    const recorder = new Recorder();
    const ticketId = ticket === undefined ? {} : { ticketId: idBytes(ticket) };
    const claim = this.store.claim({ ...request, ...ticketId, name: Buffer.from(name) }, recorder);
    if (recorder.told.length > 0) {
      throw new Error("the listener was called before claim() returned");
    }
    return Object.assign(recorder, { claim });
  }

  /** Asks for a lock and lets everything happen that happens by itself. */
  async asked(ask: Ask = {}): Promise<Asked> {
    const asked = this.ask(ask);
    await settled();
    return asked;
  }
}

/** A node over a log that does what the test says. It is the member `n1`. */
export async function scriptedNode(limits: Partial<Limits> = {}): Promise<NodeFixture<ScriptedTicketLog>> {
  return new NodeFixture(new ScriptedTicketLog(), limits).start();
}

/** A node that knows of the members n1, which it is, and n2 and n3. */
export async function nodeOfThree(limits: Partial<Limits> = {}): Promise<NodeFixture<ScriptedTicketLog>> {
  const node = await scriptedNode(limits);
  node.log.memberJoins("n2");
  node.log.memberJoins("n3");
  node.log.deliver();
  return node;
}

/** The leader of the members n1, n2 and n3; ticket 1 of n2 holds and ticket 2 of n2 waits behind it. */
export async function leadingNode(): Promise<
  Pick<NodeFixture<ScriptedTicketLog>, "log" | "clock" | "store"> & {
    readonly node: NodeFixture<ScriptedTicketLog>;
    readonly held: StoredTicket;
  }
> {
  const node = await nodeOfThree({ waiterGraceMs: 3_000 });
  const held = createElsewhere(node.log, 1, "n2");
  createElsewhere(node.log, 2, "n2");
  node.log.deliver();
  await settled();
  const { log, clock, store } = node;
  return { node, log, clock, store, held };
}

/** The lock that the tests ask for unless they say otherwise. */
export const orders = lock("orders");

/** A lock's name, as logs know it. */
export function lock(name: string): LockName {
  return escapeLockName(Buffer.from(name));
}

/** The id of a ticket that was asked for as number `n`. */
export function id(n: number): TicketId {
  return ticketIdFrom(idBytes(n));
}

/** A ticket of another member. */
export function ticketOf(memberId: string, change: Partial<Ticket> = {}): Ticket {
  return { mode: "exclusive", ttlMs: 10_000, owner: memberId, memberId, resumable: true, attempt: 0, ...change };
}

/** Another member asks for a lock; the event is not delivered yet. */
export function createElsewhere(
  log: ScriptedTicketLog,
  n: number,
  memberId: string,
  name = orders,
  attempt = 0,
): StoredTicket {
  log.elsewhere({ kind: "create", name, id: id(n), ticket: ticketOf(memberId, { attempt }), onlyIfFree: false });
  return stored(log, n, name);
}

/** Another member makes a ticket its own; the event is not delivered yet. */
export function adoptElsewhere(log: ScriptedTicketLog, n: number, memberId: string, name = orders): StoredTicket {
  const { ticket, createRevision, modRevision } = stored(log, n, name);
  log.elsewhere({ kind: "update", name, id: id(n), ticket: { ...ticket, memberId }, createRevision, modRevision });
  return stored(log, n, name);
}

/** Another member removes a ticket; the event is not delivered yet. */
export function removeElsewhere(log: ScriptedTicketLog, n: number, name = orders): void {
  const { createRevision } = stored(log, n, name);
  log.elsewhere({ kind: "delete", name, id: id(n), condition: { createRevision } });
}

/** A ticket as the log holds it. */
export function stored(log: ScriptedTicketLog, n: number, name = orders): StoredTicket {
  const ticket = log.store.get(name, id(n));
  if (ticket === undefined) {
    throw new Error(`ticket ${n} of ${name} is not in the log`);
  }
  return ticket;
}

/** The bytes of the id of a ticket that is asked for as number `n`. */
export function idBytes(n: number): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(n, 12);
  return bytes;
}
