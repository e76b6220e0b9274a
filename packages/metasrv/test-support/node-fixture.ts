import { ticketIdLength } from "@metasrv/wire";
import { ManualClock, settled } from "@metasrv/wire/testing";
import pino from "pino";
import type { Ticket } from "../src/fold/queue.js";
import type { CommandLog } from "../src/log/command-log.js";
import { defaultLimits, type Limits } from "../src/model/limits.js";
import { exclusive, type TicketContent } from "../src/model/ticket-content.js";
import { type LockName, lockNameOf, type TicketId, ticketIdFrom } from "../src/model/ticket-ref.js";
import type { Claim, ClaimRequest } from "../src/node/claim.js";
import { LockNode } from "../src/node/lock-node.js";
import { Recorder } from "./recorder.js";
import { ScriptedLog } from "./scripted-log.js";

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
export class NodeFixture<Log extends CommandLog> {
  readonly clock: ManualClock;
  readonly store: LockNode;
  readonly log: Log;

  constructor(log: Log, limits: Partial<Limits> = {}, clock = new ManualClock()) {
    this.log = log;
    this.clock = clock;
    let randoms = 0;
    this.store = new LockNode({
      log,
      clock: this.clock,
      limits: { ...defaultLimits, ...limits },
      logger: pino({ level: "silent" }),
      newTicketId: () => new Uint8Array(ticketIdLength).fill(0xff).fill(randoms++ & 0xff, 0, 1),
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
export async function scriptedNode(limits: Partial<Limits> = {}): Promise<NodeFixture<ScriptedLog>> {
  return new NodeFixture(new ScriptedLog(), limits).start();
}

/** A node that knows of the members n1, which it is, and n2 and n3. */
export async function nodeOfThree(limits: Partial<Limits> = {}): Promise<NodeFixture<ScriptedLog>> {
  const node = await scriptedNode(limits);
  node.log.memberJoins("n2");
  node.log.memberJoins("n3");
  node.log.deliver();
  return node;
}

/** The leader of the members n1, n2 and n3; ticket 1 of n2 holds and ticket 2 of n2 waits behind it. */
export async function leadingNode(): Promise<
  Pick<NodeFixture<ScriptedLog>, "log" | "clock" | "store"> & {
    readonly node: NodeFixture<ScriptedLog>;
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

/** A lock's name. */
export function lock(name: string): LockName {
  return lockNameOf(Buffer.from(name));
}

/** The id of a ticket that was asked for as number `n`. */
export function id(n: number): TicketId {
  return ticketIdFrom(idBytes(n));
}

/** What a ticket of another member says of itself. */
export function contentOf(memberId: string, change: Partial<TicketContent> = {}): TicketContent {
  return { ttlMs: 10_000, owner: memberId, resumable: true, ...exclusive, ...change };
}

/** Another member asks for a lock, or takes a ticket over; it is not delivered yet. */
export function createElsewhere(
  log: ScriptedLog,
  n: number,
  memberId: string,
  name = orders,
  attempt = 0,
): StoredTicket {
  log.elsewhere(memberId, { kind: "create", name, id: id(n), content: contentOf(memberId), attempt, try: false });
  return stored(log, n, name);
}

/** The key of a ticket is renewed at another member; it is not delivered yet. */
export function adoptElsewhere(log: ScriptedLog, n: number, memberId: string, name = orders): StoredTicket {
  const { token, holds } = stored(log, n, name);
  if (holds) {
    log.elsewhere(memberId, { kind: "renew", name, id: id(n), token, ttlMs: 0, downgrade: false });
  } else {
    createElsewhere(log, n, memberId, name);
  }
  return stored(log, n, name);
}

/** A ticket is released at another member; it is not delivered yet. */
export function removeElsewhere(log: ScriptedLog, n: number, memberId = "n2", name = orders): void {
  const { token } = stored(log, n, name);
  log.elsewhere(memberId, { kind: "remove", name, id: id(n), token, cause: "released", memberId: "" });
}

/** What the log has of a ticket at one moment. */
export type StoredTicket = Pick<Ticket, "token" | "memberId" | "attempt" | "content" | "holds">;

/** A ticket as the log has it now, whatever the node has heard of it. */
export function stored(log: ScriptedLog, n: number, name = orders): StoredTicket {
  const ticket = log.written.get({ name, id: id(n) });
  if (ticket === undefined) {
    throw new Error(`ticket ${n} of ${name} is not in the log`);
  }
  const { token, memberId, attempt, content, holds } = ticket;
  return { token, memberId, attempt, content, holds };
}

/** The bytes of the id of a ticket that is asked for as number `n`. */
export function idBytes(n: number): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(n, 12);
  return bytes;
}
