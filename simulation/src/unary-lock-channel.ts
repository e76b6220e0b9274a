import { create } from "@bufbuild/protobuf";
import { GrantSchema, LockMode, type LockPart, type LockRequest } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import pino from "pino";
import type { Cancellation } from "../../packages/meta-client/src/cancellation.js";
import { type Holding, type LockOutcome, readGrant, type Renewed } from "../../packages/meta-client/src/grant.js";
import { EndpointFailure, type LockChannel } from "../../packages/meta-client/src/lock-channel.js";
import { translateError } from "../../packages/meta-client/src/translate-error.js";
import { toConnectError } from "../../packages/metasrv/src/api/rpc-errors.js";
import { exclusive, type Share, shared } from "../../packages/metasrv/src/model/ticket-content.js";
import type { Call, CallOutcome, Network } from "./network.js";
import type { NodeRequest } from "./node-service.js";
import type { Profile } from "./profile.js";
import type { Random } from "./random.js";
import type { SimulatedNode } from "./simulated-node.js";
import type { SimulatedProcess } from "./simulated-process.js";

/** Whose calls they are, and through what they go. */
export interface UnaryLockChannelOptions {
  readonly endpoint: string;
  readonly network: Network;
  readonly client: string;
  readonly clientProcess: SimulatedProcess;
  readonly clock: Clock;
  readonly random: Random;
  readonly profile: Profile;
  readonly node: SimulatedNode;
  readonly nodes: readonly SimulatedNode[];
}

const logger = pino({ level: "silent" });

/**
 * Every call is a request of its own, as clients in other languages make them. It may go to another node than the endpoint's,
 * as through a proxy.
 */
export class UnaryLockChannel implements LockChannel {
  readonly endpoint: string;
  readonly #options: UnaryLockChannelOptions;

  constructor(options: UnaryLockChannelOptions) {
    this.endpoint = options.endpoint;
    this.#options = options;
  }

  async lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    const { outcome, sentAtMs } = await this.#ask(lockOf(request), scope);
    switch (outcome.kind) {
      case "refused":
        return { kind: "refused", state: undefined };
      case "granted": {
        const { key, token, ttlMs, waitedMs, floor, limit, parts } = outcome.grant;
        const told = { key, token, ttlMs: BigInt(ttlMs), waitedMs, floor, limit, parts: [...parts] };
        return { kind: "granted", grant: readGrant(create(GrantSchema, told), sentAtMs) };
      }
      default:
        throw unexpected(outcome);
    }
  }

  async unlock({ key }: Holding, scope: Cancellation): Promise<void> {
    const { outcome } = await this.#ask({ kind: "unlock", key }, scope);
    if (outcome.kind !== "unlocked") {
      throw unexpected(outcome);
    }
  }

  async renew({ key, downgraded: downgrade, value }: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    const { outcome, sentAtMs } = await this.#ask({ kind: "renew", key, ttlMs, downgrade, value }, scope);
    if (outcome.kind !== "renewed") {
      throw unexpected(outcome);
    }
    return { ttlMs: outcome.ttlMs, sentAtMs };
  }

  inspect(): never {
    throw new TypeError("simulated users do not look at locks");
  }

  follow(): never {
    throw new TypeError("simulated users do not look at locks");
  }

  members(): never {
    throw new TypeError("members are watched over connections");
  }

  watchMembers(): never {
    throw new TypeError("members are watched over connections");
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Makes one attempt at one node. The connection may break on the way. */
  async #ask(request: NodeRequest, scope: Cancellation): Promise<{ outcome: CallOutcome; sentAtMs: number }> {
    const { network, client, clientProcess, clock, random, profile, node, nodes } = this.#options;
    scope.throwIfCancelled();
    const sentAtMs = clock.now();
    const to = random.chance(profile.roaming) ? random.pick(nodes) : node;
    const call: Call = network.call(clientProcess, client, to, request);
    const listener = {
      onCancel: () => {
        call.withdraw();
      },
    };
    scope.listen(listener);
    if (random.chance(profile.restlessness)) {
      clientProcess.arrive(random.between(0, 4 * profile.clientDelayMs + 100), "its connection breaks", () => {
        call.drop();
      });
    }
    const outcome = await call.outcome;
    scope.unlisten(listener);
    scope.throwIfCancelled();
    if (outcome.kind === "disconnected") {
      throw new EndpointFailure(this.endpoint, "the connection broke", true);
    }
    if (outcome.kind === "error") {
      throw translateError(toConnectError(outcome.error, logger), { endpoint: this.endpoint, sent: true });
    }
    return { outcome, sentAtMs };
  }
}

function lockOf(request: LockRequest): NodeRequest {
  const { ticketId, attempt, ttlMs, waitMs, owner, value, parts } = request;
  const [first, ...others] = (parts.length === 0 ? [request] : parts).map(partOf);
  if (first === undefined) {
    throw new TypeError("a request asks for a lock");
  }
  const common = { kind: "lock" as const, ticketId, attempt, ttlMs: Number(ttlMs), owner, value };
  return { ...common, ...first, others, waitMs: waitMs === undefined ? undefined : Number(waitMs) };
}

function partOf({ lock, mode, permits, limit }: Pick<LockPart, "lock" | "mode" | "permits" | "limit">): {
  readonly name: Uint8Array;
  readonly share: Share;
} {
  const name = Buffer.from(lock.value ?? "");
  if (mode === LockMode.SEMAPHORE) {
    return { name, share: { permits, limit } };
  }
  return { name, share: mode === LockMode.SHARED ? shared : exclusive };
}

function unexpected({ kind }: CallOutcome): TypeError {
  return new TypeError(`nobody asked for what is ${kind}`);
}
