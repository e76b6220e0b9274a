import { LockMode, type LockPart } from "@metasrv/proto/metasrv/v1";
import { Cancellation } from "../../../packages/meta-client/src/cancellation.js";
import { EndpointFailure } from "../../../packages/meta-client/src/lock-channel.js";
import {
  InvalidArgumentError,
  LimitExceededError,
  LockLostError,
  UnexpectedError,
  WaitTimeoutError,
} from "../../../packages/meta-client/src/meta-errors.js";
import { isExclusive, isShared, type Share } from "../../../packages/metasrv/src/model/ticket-content.js";
import type { ClaimPart } from "../../../packages/metasrv/src/node/claim.js";
import {
  type Attempt,
  type AttemptOutcome,
  type ClientCall,
  type ClientWay,
  type ClientWayOptions,
  floorsOf,
} from "../client-way.js";
import type { Random } from "../random.js";
import type { SimulatedNode } from "../simulated-node.js";
import { ClientSession } from "./client-session.js";

export interface SessionWayOptions extends ClientWayOptions {
  readonly random: Random;
}

/** The reason with which a withdrawn call rejects. */
const withdrawn = new Error("the client gave it up");

/** All calls to a node go over one session. A session that is broken is replaced. */
export class SessionWay implements ClientWay {
  readonly needsIds = true;
  readonly hears = true;
  readonly #options: SessionWayOptions;
  readonly #sessions = new Map<SimulatedNode, ClientSession>();
  readonly #all = new Set<ClientSession>();

  constructor(options: SessionWayOptions) {
    this.#options = options;
  }

  call(node: SimulatedNode, call: ClientCall): Attempt {
    const scope = new Cancellation();
    const session = this.#session(node);
    return {
      outcome: this.#ask(session, call, scope).catch(outcomeOf),
      withdraw: () => {
        scope.cancel(withdrawn);
      },
      drop: () => {
        if (this.#options.random.chance(0.5)) {
          session.tear();
        } else {
          session.breakOff();
        }
      },
    };
  }

  lose(node: SimulatedNode): void {
    this.#sessions.get(node)?.breakOff();
  }

  stir(node: SimulatedNode): void {
    const session = this.#sessions.get(node);
    switch (this.#options.random.int(3)) {
      case 0:
        session?.leave("now");
        break;
      case 1:
        session?.leave("at leisure");
        break;
      case 2:
        session?.end();
        break;
    }
  }

  close(): void {
    for (const session of this.#all) {
      session.end();
    }
  }

  #session(node: SimulatedNode): ClientSession {
    const existing = this.#sessions.get(node);
    if (existing?.over.cancelled === false) {
      return existing;
    }
    const { random } = this.#options;
    const session = new ClientSession({
      ...this.#options,
      node,
      // Some sessions soon come to the last number.
      lastNumber: random.chance(0.2) ? 2 ** 32 - 1 - random.int(20) : 0,
      onDraining: () => {
        session.leave("now");
      },
    });
    this.#sessions.set(node, session);
    this.#all.add(session);
    session.over.listen({
      onCancel: () => {
        this.#all.delete(session);
      },
    });
    return session;
  }

  async #ask(session: ClientSession, call: ClientCall, scope: Cancellation): Promise<AttemptOutcome> {
    await Promise.race([session.opened, cancelled(scope)]);
    const { ledger } = session;
    switch (call.kind) {
      case "lock": {
        const { name, ticketId, attempt, ttlMs, waitMs, owner, share, others, value } = call;
        const several = others.length > 0;
        const outcome = await ledger.lock(
          {
            $typeName: "metasrv.v1.LockRequest",
            lock: several ? { case: undefined } : { case: "nameBytes", value: name },
            ticketId: ticketId ?? new Uint8Array(),
            ...(several ? { mode: LockMode.UNSPECIFIED, permits: 0, limit: 0 } : wireShare(share)),
            ttlMs: BigInt(ttlMs),
            owner,
            attempt,
            parts: several ? [{ name, share }, ...others].map(wirePart) : [],
            labels: {},
            within: [],
            value,
            ...(waitMs !== undefined && { waitMs: BigInt(waitMs) }),
          },
          scope,
        );
        if (outcome.kind === "refused") {
          return { kind: "refused" };
        }
        const { holding, ttlMs: granted, grantedAtMs } = outcome.grant;
        const floors = floorsOf(outcome.grant);
        return { kind: "granted", grant: { holding, ttlMs: granted, floors, countsFromMs: grantedAtMs } };
      }
      case "unlock":
        await ledger.unlock(call.holding, scope);
        return { kind: "unlocked" };
      case "renew":
        return { kind: "renewed", ...(await ledger.renew(call.holding, call.ttlMs, scope)) };
    }
  }
}

function wirePart({ name, share }: ClaimPart): LockPart {
  return { $typeName: "metasrv.v1.LockPart", lock: { case: "nameBytes", value: name }, ...wireShare(share) };
}

function wireShare(share: Share): { mode: LockMode; permits: number; limit: number } {
  if (isExclusive(share) || isShared(share)) {
    return { mode: isShared(share) ? LockMode.SHARED : LockMode.UNSPECIFIED, permits: 0, limit: 0 };
  }
  return { mode: LockMode.SEMAPHORE, permits: share.permits, limit: share.limit };
}

function cancelled(scope: Cancellation): Promise<void> {
  return new Promise((resolve) => {
    scope.listen({
      onCancel: () => {
        resolve();
      },
    });
  });
}

/** @throws any other error than a ledger rejects with: the code under test is wrong then */
function outcomeOf(error: unknown): AttemptOutcome {
  if (error === withdrawn) {
    return { kind: "withdrawn" };
  }
  if (error instanceof EndpointFailure) {
    return { kind: "failed", maybeApplied: error.maybeApplied };
  }
  if (error instanceof LockLostError) {
    return { kind: "error", reason: "not-held" };
  }
  if (error instanceof WaitTimeoutError) {
    return { kind: "error", reason: "wait-timed-out" };
  }
  if (error instanceof LimitExceededError) {
    return { kind: "error", reason: "store-full" };
  }
  if (error instanceof InvalidArgumentError) {
    return { kind: "error", reason: "invalid-key" };
  }
  if (error instanceof UnexpectedError) {
    return { kind: "error", reason: "cluster-too-old" };
  }
  throw error;
}
