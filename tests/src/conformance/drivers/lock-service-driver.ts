import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import type { LockRequestSchema } from "@metasrv/proto/metasrv/v1";
import { AdminService, LockMode, LockService } from "@metasrv/proto/metasrv/v1";
import { openRpcClient, type Wire } from "../../rpc-client.js";
import {
  DriverError,
  type DriverGrant,
  type DriverShare,
  type LockAsk,
  type LockCalls,
  type LockDriver,
  stateOf,
  type TryLockAnswer,
} from "../lock-driver.js";
import { WireDriver } from "./wire-driver.js";
import { unlessNotHeld, wireError } from "./wire-error.js";
import { WireNode, type WireStore } from "./wire-node.js";

/** The contract `metasrv.v1.LockService`, by a plain client. */
export function openLockService(wire: Wire, store: WireStore): Promise<LockDriver> {
  return WireNode.open(store, (node) => {
    const rpc = openRpcClient(wire, node.url);
    return new WireDriver(node, new LockServiceCalls(rpc.transport), rpc);
  });
}

class LockServiceCalls implements LockCalls {
  readonly #client: Client<typeof LockService>;
  readonly #admin: Client<typeof AdminService>;

  constructor(transport: Transport) {
    this.#client = createClient(LockService, transport);
    this.#admin = createClient(AdminService, transport);
  }

  async lock(name: Uint8Array, ask: LockAsk = {}): Promise<DriverGrant> {
    const answer = await this.#ask(name, ask);
    if ("granted" in answer) {
      return answer.granted;
    }
    throw new DriverError("other", "refused without having asked for that");
  }

  tryLock(name: Uint8Array, ask: LockAsk = {}): Promise<TryLockAnswer> {
    return this.#ask(name, { ...ask, waitMs: 0 });
  }

  unlock(key: Uint8Array): Promise<"released" | "not-held"> {
    return unlessNotHeld("released", this.#client.unlock({ key }));
  }

  renew(key: Uint8Array, ttlMs = 0): Promise<"renewed" | "not-held"> {
    return unlessNotHeld("renewed", this.#client.renew({ key, ttlMs: BigInt(ttlMs) }));
  }

  downgrade(key: Uint8Array): Promise<"renewed" | "not-held"> {
    return unlessNotHeld("renewed", this.#client.renew({ key, mode: LockMode.SHARED }));
  }

  force(name: Uint8Array, token: bigint): Promise<"released" | "not-held"> {
    const lock = { case: "nameBytes" as const, value: name };
    return unlessNotHeld("released", this.#admin.forceRelease({ lock, token, reason: "a scenario" }));
  }

  async #ask(name: Uint8Array, ask: LockAsk): Promise<TryLockAnswer> {
    const { ttlMs = 0, ticketId = new Uint8Array(), attempt = 0, owner = "", share, others, waitMs, signal } = ask;
    const part = partOf({ name, share });
    const request: MessageInitShape<typeof LockRequestSchema> = {
      ...(others === undefined ? part : { parts: [part, ...others.map(partOf)] }),
      ttlMs: BigInt(ttlMs),
      ticketId,
      attempt,
      owner,
      ...(waitMs !== undefined && { waitMs: BigInt(waitMs) }),
    };
    try {
      const { outcome } = await this.#client.lock(request, signal === undefined ? {} : { signal });
      switch (outcome.case) {
        case "granted":
          return { granted: { ...outcome.value, floors: outcome.value.parts.map(({ floor }) => floor) } };
        case "refused":
          return { refused: stateOf(outcome.value.state) };
        case undefined:
          throw new DriverError("other", "neither granted nor refused");
      }
    } catch (error) {
      throw error instanceof DriverError ? error : wireError(error, signal);
    }
  }
}

function partOf({ name, share }: { readonly name: Uint8Array; readonly share?: DriverShare | undefined }) {
  return {
    lock: { case: "nameBytes" as const, value: name },
    ...(share === "shared" && { mode: LockMode.SHARED }),
    ...(typeof share === "object" && { mode: LockMode.SEMAPHORE, ...share }),
  };
}
