import { LockError } from "../src/locks/lock-errors.js";
import type { Claim, Grant } from "../src/locks/claim.js";
import { ManualClock, settled } from "./manual-clock.js";
import { ModelStore } from "./model-store.js";
import { idBytes, NodeFixture } from "./node-fixture.js";
import { Recorder } from "./recorder.js";
import { type ScriptedOp, ScriptedTicketLog } from "./scripted-ticket-log.js";

export const ttlMs = 1_000;
export const leaseMs = 3_000;
export const graceMs = 500;
const lockName = Buffer.from("orders");

/** What can happen; `n` chooses among several of the kind. */
export type Event =
  | { readonly kind: "ask"; readonly client: number; readonly node: number; readonly waitMs: number | undefined }
  | { readonly kind: "cancel" | "detach" | "unlock"; readonly client: number; readonly node: number }
  | { readonly kind: "renew"; readonly client: number; readonly node: number }
  | { readonly kind: "commit" | "answer" | "fail" | "fail and commit later"; readonly node: number }
  | { readonly kind: "deliver"; readonly node: number; readonly count: number }
  | { readonly kind: "relist" | "extend" | "lose" | "rejoin"; readonly node: number }
  | { readonly kind: "late commit" | "lapse" }
  | { readonly kind: "pass"; readonly ms: number };

class Node extends NodeFixture<ScriptedTicketLog> {
  memberId: string | undefined;
  aliveUntilMs = 0;
}

/** What a client asked for last. It hears nothing any more of what it asked for before. */
class Asked extends Recorder {
  readonly sentAtMs: number;
  claim: Claim | undefined;
  /** Whether the client gave it up, so that nothing may be told any more. */
  over = false;
  readonly #onGrant: (grant: Grant) => void;
  readonly #onLoss: () => void;

  constructor(sentAtMs: number, onGrant: (grant: Grant) => void, onLoss: () => void) {
    super();
    this.sentAtMs = sentAtMs;
    this.#onGrant = onGrant;
    this.#onLoss = onLoss;
  }

  override granted(grant: Grant): void {
    super.granted(grant);
    this.#onGrant(grant);
  }

  override lost(...args: Parameters<Recorder["lost"]>): void {
    super.lost(...args);
    this.#onLoss();
  }
}

/** What a client believes: that it holds, until a moment on its own clock unless it hears otherwise. */
interface Belief {
  readonly key: Uint8Array;
  readonly token: bigint;
  untilMs: number;
}

interface Client {
  /** The ticket that it asks for, again and again until it has unlocked it; then it asks for another. */
  ticket: number;
  asked: Asked | undefined;
  belief: Belief | undefined;
}

/**
 * Several nodes over one store, and clients that ask them for one lock, move between them and believe what they are
 * told. Throws when two clients believe at one moment that they hold the lock, or tokens fall, or a listener is told
 * what it must not be.
 */
export class Cluster {
  readonly clock = new ManualClock();
  readonly model = new ModelStore();
  readonly nodes: Node[];
  readonly clients: Client[];
  readonly #asked: Asked[] = [];
  readonly #late: ScriptedOp[] = [];
  readonly #members = new Map<string, { aliveUntilMs: number }>();
  #joins = 0;
  #lastToken = 0n;

  constructor(nodes: number, clients: number) {
    this.nodes = Array.from({ length: nodes }, (_, index) => {
      const log = new ScriptedTicketLog(`n${index}`, this.model);
      return new Node(log, { waiterGraceMs: graceMs }, this.clock);
    });
    this.clients = Array.from({ length: clients }, (_, ticket) => ({ ticket, asked: undefined, belief: undefined }));
  }

  async start(): Promise<this> {
    for (const [index, node] of this.nodes.entries()) {
      node.log.aliveUntilMs = this.clock.now() + leaseMs;
      await node.start();
      this.#joined(node, `n${index}`);
    }
    for (const node of this.nodes) {
      node.log.deliver();
    }
    await settled();
    for (const node of this.nodes) {
      node.log.manual = true;
    }
    return this;
  }

  async step(event: Event): Promise<void> {
    this.#happen(event);
    await (event.kind === "pass" ? this.clock.advance(event.ms) : settled());
    this.check();
  }

  /** Nothing fails any more, and time passes, until nothing can be left to do. */
  async calmDown(): Promise<void> {
    for (let turn = 0; turn < 80; turn++) {
      for (const node of this.nodes) {
        this.#happen({ kind: "lapse" });
        if (this.clock.now() >= node.aliveUntilMs && node.memberId !== undefined) {
          this.#lose(node);
        }
        this.#extend(node);
        this.#rejoin(node);
      }
      for (let op = this.#late.shift(); op !== undefined; op = this.#late.shift()) {
        op.commit();
      }
      for (const node of this.nodes) {
        node.log.manual = false;
        await node.log.runPending();
      }
      for (const node of this.nodes) {
        node.log.deliver();
      }
      await this.clock.advance(ttlMs / 4);
      this.check();
    }
  }

  check(): void {
    const now = this.clock.now();
    const holders = this.clients.flatMap(({ belief }, index) =>
      belief !== undefined && now < belief.untilMs ? [`client ${index} with token ${belief.token.toString()}`] : [],
    );
    if (holders.length > 1) {
      throw new Error(`I4: ${holders.join(" and ")} believe to hold the lock at once`);
    }
    for (const { told } of this.#asked) {
      const outcomes = told.filter((what) => !what.startsWith("lost"));
      const wrong = outcomes.length > 1 || (told.length > 0 && told[0]?.startsWith("lost") === true) || told.length > 2;
      if (wrong) {
        throw new Error(`a listener was told: ${told.join(", ")}`);
      }
    }
  }

  /** Requests that were neither given up nor answered. */
  get unanswered(): number {
    return this.#asked.filter(({ told, over }) => !over && told.length === 0).length;
  }

  #happen(event: Event): void {
    switch (event.kind) {
      case "ask":
        this.#ask(this.#client(event), this.#node(event), event.waitMs);
        break;
      case "cancel":
      case "detach":
        this.#giveUp(this.#client(event), event.kind);
        break;
      case "unlock":
        this.#unlock(this.#client(event), this.#node(event));
        break;
      case "renew":
        this.#renew(this.#client(event), this.#node(event));
        break;
      case "commit":
        this.#node(event).log.pending[0]?.commit();
        break;
      case "answer":
        this.#node(event).log.pending.shift()?.answer();
        break;
      case "fail":
        this.#node(event).log.pending.shift()?.fail();
        break;
      case "fail and commit later": {
        const op = this.#node(event).log.pending.shift()?.fail();
        this.#late.push(...(op === undefined ? [] : [op]));
        break;
      }
      case "late commit":
        this.#late.shift()?.commit();
        break;
      case "deliver":
        this.#node(event).log.deliver(event.count);
        break;
      case "relist":
        this.#node(event).log.relist();
        break;
      case "extend":
        this.#extend(this.#node(event));
        break;
      case "lose":
        this.#lose(this.#node(event));
        break;
      case "rejoin":
        this.#rejoin(this.#node(event));
        break;
      case "lapse":
        for (const [id, { aliveUntilMs }] of this.#members) {
          if (this.clock.now() >= aliveUntilMs) {
            this.#members.delete(id);
            this.model.removeMember(id);
          }
        }
        break;
      case "pass":
        break;
    }
  }

  #ask(client: Client, node: Node, waitMs: number | undefined): void {
    if (client.belief !== undefined && this.clock.now() < client.belief.untilMs) {
      return;
    }
    const sentAtMs = this.clock.now();
    const asked = new Asked(
      sentAtMs,
      ({ key, token, waitedMs }) => {
        if (asked.over) {
          throw new Error("told after it was given up");
        }
        if (client.asked === asked) {
          this.#believe(client, key, token, sentAtMs + waitedMs + ttlMs);
        }
      },
      () => {
        if (client.asked === asked) {
          client.belief = undefined;
        }
      },
    );
    try {
      const wait = waitMs === undefined ? {} : { waitMs };
      asked.claim = node.store.claim({ name: lockName, ticketId: idBytes(client.ticket), ttlMs, ...wait }, asked);
      client.asked = asked;
      client.belief = undefined;
      this.#asked.push(asked);
    } catch (error) {
      if (!(error instanceof LockError && error.reason === "not-a-member")) {
        throw error;
      }
    }
  }

  #giveUp(client: Client, how: "cancel" | "detach"): void {
    const { asked } = client;
    if (asked?.claim !== undefined) {
      asked.over = true;
      asked.claim[how]();
      client.asked = undefined;
    }
  }

  #unlock(client: Client, node: Node): void {
    const { belief } = client;
    if (belief !== undefined) {
      client.belief = undefined;
      client.ticket += this.clients.length;
      node.store.unlock(belief.key).catch(ignore);
    }
  }

  #renew(client: Client, node: Node): void {
    const { belief } = client;
    if (belief === undefined || this.clock.now() >= belief.untilMs) {
      return;
    }
    const sentAtMs = this.clock.now();
    node.store.renew(belief.key).then(
      () => {
        // Too late, the client has given up believing.
        if (client.belief === belief && this.clock.now() < belief.untilMs) {
          belief.untilMs = Math.max(belief.untilMs, sentAtMs + ttlMs);
        }
      },
      (error: unknown) => {
        if (client.belief === belief && error instanceof LockError && error.reason === "not-held") {
          client.belief = undefined;
        }
      },
    );
  }

  #believe(client: Client, key: Uint8Array, token: bigint, untilMs: number): void {
    if (token < this.#lastToken) {
      throw new Error(`I3: token ${token.toString()} after ${this.#lastToken.toString()}`);
    }
    this.#lastToken = token;
    client.belief = { key, token, untilMs };
  }

  #extend(node: Node): void {
    const now = this.clock.now();
    const lease = node.memberId === undefined ? undefined : this.#members.get(node.memberId);
    if (lease !== undefined && now < lease.aliveUntilMs && now < node.aliveUntilMs) {
      lease.aliveUntilMs = node.aliveUntilMs = now + leaseMs;
      node.log.membership.extended(node.aliveUntilMs);
    }
  }

  #lose(node: Node): void {
    if (node.memberId !== undefined) {
      node.memberId = undefined;
      node.log.membership.lost();
    }
  }

  #rejoin(node: Node): void {
    if (node.memberId === undefined) {
      node.log.aliveUntilMs = this.clock.now() + leaseMs;
      const id = `again${this.#joins++}`;
      node.log.joinAs(id);
      this.#joined(node, id);
    }
  }

  #joined(node: Node, id: string): void {
    node.memberId = id;
    node.aliveUntilMs = node.log.aliveUntilMs;
    this.#members.set(id, { aliveUntilMs: node.aliveUntilMs });
  }

  #client({ client }: { readonly client: number }): Client {
    return at(this.clients, client);
  }

  #node({ node }: { readonly node: number }): Node {
    return at(this.nodes, node);
  }
}

function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) {
    throw new Error(`there is no number ${index}`);
  }
  return item;
}

function ignore(): void {
  // The client has let go, whatever the answer is.
}
