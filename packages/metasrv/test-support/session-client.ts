import { LockMode, LossReason, Reason, type SessionCommand, type SessionEvent } from "@metasrv/proto/metasrv/v1";
import { settled } from "@metasrv/wire/testing";
import type { CommandLog } from "../src/log/command-log.js";
import { createMemoryLog } from "../src/log/memory-log.js";
import { defaultLimits, type Limits } from "../src/model/limits.js";
import { Session } from "../src/session/session.js";
import { idBytes, NodeFixture } from "./node-fixture.js";
import { dependenciesAround } from "./served.js";

/** What a client asks for. */
export type Command = SessionCommand["command"];

/** One node, over a log in memory unless said otherwise; its time is the test's. */
export async function startSessionNode(change: Partial<Limits> = {}, log: CommandLog = createMemoryLog({ fatal })) {
  const limits = { ...defaultLimits, ...change };
  const node = await new NodeFixture(log, limits).start();
  return { node, dependencies: dependenciesAround(node.store, { limits, clock: node.clock }) };
}

/** Where the session's client is does not matter. */
const anywhere = { method: "test", authorization: undefined, connection: undefined };

function fatal(error: Error): never {
  throw error;
}

/** A node, and what its sessions are made of. */
export type Node = Awaited<ReturnType<typeof startSessionNode>>;

/** A session and what becomes of it. Its client reads whatever comes, unless it is told not to. */
export class SessionClient {
  readonly session: Session;
  readonly events: SessionEvent[] = [];
  readonly messages: number[] = [];
  /** In how many messages it was told that the server is about to stop. */
  drains = 0;
  reads = true;
  paused = false;
  resets = 0;

  constructor({ dependencies }: Node) {
    this.session = new Session(dependencies, dependencies.access.of(anywhere), {
      wake: () => {
        if (this.reads) {
          this.read();
        }
      },
      read: (on) => {
        this.paused = !on;
      },
      reset: () => {
        this.resets++;
      },
    });
  }

  /** Takes what there is. */
  read(): void {
    for (let next = this.session.next(); next !== undefined; next = this.session.next()) {
      this.messages.push(next.events.length);
      this.drains += next.draining ? 1 : 0;
      this.events.push(...next.events);
    }
  }

  send(...commands: [number, Command][]): void {
    this.session.receive({
      $typeName: "metasrv.v1.SessionRequest",
      commands: commands.map(([number, command]) => ({ $typeName: "metasrv.v1.SessionCommand", number, command })),
    });
  }

  /** Sends commands in one message, and answers what they bring about by themselves. */
  async sent(...commands: [number, Command][]): Promise<string[]> {
    const before = this.events.length;
    this.send(...commands);
    return await this.since(before);
  }

  /** The news since so many events, after everything has happened that happens by itself. */
  async since(before: number): Promise<string[]> {
    await settled();
    await settled();
    return this.events.slice(before).map(described);
  }

  get news(): string[] {
    return this.events.map(described);
  }

  /** The key of the lock that was granted to a command. */
  key(number: number): Uint8Array {
    for (const { number: of, event } of this.events) {
      if (of === number && event.case === "granted") {
        return event.value.key;
      }
    }
    throw new Error(`nothing was granted to ${number}`);
  }
}

/** An event in a few words. */
function described({ number, event }: SessionEvent): string {
  switch (event.case) {
    case "failed":
      return `${number} failed ${Reason[event.value.detail?.reason ?? Reason.UNSPECIFIED]}`;
    case "lost":
      return `${number} lost ${LossReason[event.value]}`;
    case "renewed":
      return `${number} renewed ${event.value.ttlMs.toString()}`;
    default:
      return `${number} ${event.case ?? "nothing"}`;
  }
}

/** Beyond what tests choose themselves. */
let nextTicket = 2 ** 31;

/** Asks for a lock, with a ticket id of its own unless said otherwise. */
export function lock(
  name: string,
  change: {
    ticket?: number;
    ttlMs?: bigint;
    waitMs?: bigint;
    mode?: LockMode;
    permits?: number;
    limit?: number;
  } = {},
): Command {
  const { ticket = nextTicket++, ttlMs = 0n, waitMs, mode = LockMode.UNSPECIFIED, permits = 0, limit = 0 } = change;
  return {
    case: "lock",
    value: {
      $typeName: "metasrv.v1.LockRequest",
      lock: { case: "name", value: name },
      ticketId: idBytes(ticket),
      mode,
      ttlMs,
      owner: "",
      attempt: 0,
      permits,
      limit,
      parts: [],
      labels: {},
      within: [],
      value: new Uint8Array(),
      ...(waitMs !== undefined && { waitMs }),
    },
  };
}

/** Unlocks by the number of the lock, or by its key. */
export function unlock(of: number | Uint8Array): Command {
  const which = typeof of === "number" ? { lock: of, key: new Uint8Array() } : { lock: 0, key: of };
  return { case: "unlock", value: { $typeName: "metasrv.v1.SessionUnlock", ...which } };
}

/** Renews by the number of the lock, or by its key. */
export function renew(of: number | Uint8Array, ttlMs = 0n, mode = LockMode.UNSPECIFIED): Command {
  const which = typeof of === "number" ? { lock: of, key: new Uint8Array() } : { lock: 0, key: of };
  return { case: "renew", value: { $typeName: "metasrv.v1.SessionRenew", ...which, ttlMs, mode } };
}

/** Ends a wait. */
export function cancel(number: number): Command {
  return { case: "cancel", value: number };
}
