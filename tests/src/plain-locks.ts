import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { ErrorDetailSchema, type Grant, LockService, type LockState, Reason } from "@metasrv/proto/metasrv/v1";
import { until } from "@metasrv/testing";
import { openRpcClient, type Wire } from "./rpc-client.js";

/** How a lock is asked for. */
export interface PlainAsk {
  readonly ttlMs?: number;
  readonly waitMs?: number;
  readonly ticketId?: Uint8Array;
  readonly owner?: string;
}

/** `metasrv.v1.LockService` of one node, by a client that repeats nothing, so that the test sees what happens. */
export class PlainLocks implements Disposable {
  readonly service: Client<typeof LockService>;
  readonly #rpc: Disposable;

  constructor(url: string, wire: Wire = "connect") {
    const rpc = openRpcClient(wire, url);
    this.#rpc = rpc;
    this.service = createClient(LockService, rpc.transport);
  }

  async lock(name: string, ask: PlainAsk = {}): Promise<Grant> {
    const answer = await this.#ask(name, ask);
    if (answer.$typeName === "metasrv.v1.Grant") {
      return answer;
    }
    throw new Error("refused");
  }

  /** Asks for a lock that is held, and resolves once the request has its place in the queue. */
  async queueUp(name: string, ask: PlainAsk = {}): Promise<{ readonly granted: Promise<Grant> }> {
    const state = await this.state(name);
    const granted = this.lock(name, ask);
    granted.catch(() => undefined);
    await this.waitersAre(name, (state?.waiters ?? 0) + 1);
    return { granted };
  }

  tryLock(name: string, ask: PlainAsk = {}): Promise<Grant | LockState> {
    return this.#ask(name, { ...ask, waitMs: 0 });
  }

  async unlock({ key }: { readonly key: Uint8Array }): Promise<void> {
    await this.service.unlock({ key });
  }

  async renew({ key }: { readonly key: Uint8Array }, ttlMs = 0): Promise<void> {
    await this.service.renew({ key, ttlMs: BigInt(ttlMs) });
  }

  /** Who holds the lock and how many wait; undefined when nobody holds it. */
  async state(name: string): Promise<LockState | undefined> {
    const answer = await this.tryLock(name);
    if (answer.$typeName === "metasrv.v1.LockState") {
      return answer;
    }
    await this.unlock(answer);
    return undefined;
  }

  async waitersAre(name: string, count: number): Promise<void> {
    await until(async () => ((await this.state(name))?.waiters ?? 0) === count, {
      what: `${count} waiters`,
    });
  }

  [Symbol.dispose](): void {
    this.#rpc[Symbol.dispose]();
  }

  async #ask(name: string, ask: PlainAsk): Promise<Grant | LockState> {
    const { ttlMs = 0, ticketId = new Uint8Array(), owner = "", waitMs } = ask;
    const { outcome } = await this.service.lock({
      lock: { case: "name", value: name },
      ttlMs: BigInt(ttlMs),
      ticketId,
      owner,
      ...(waitMs !== undefined && { waitMs: BigInt(waitMs) }),
    });
    if (outcome.case === "granted") {
      return outcome.value;
    }
    if (outcome.value?.state === undefined) {
      throw new Error("neither granted nor refused with a reason");
    }
    return outcome.value.state;
  }
}

/** The failure of a call, in names. */
export interface RpcFailure {
  readonly code: keyof typeof Code;
  readonly reason: keyof typeof Reason | undefined;
  readonly message: string;
}

/** What a call failed with. */
export async function rpcFailure(call: Promise<unknown>): Promise<RpcFailure> {
  let error: ConnectError;
  try {
    await call;
  } catch (thrown) {
    if (!(thrown instanceof ConnectError)) {
      throw thrown;
    }
    error = thrown;
    const detail = error.findDetails(ErrorDetailSchema)[0];
    return {
      code: Code[error.code] as keyof typeof Code,
      reason: detail && (Reason[detail.reason] as keyof typeof Reason),
      message: error.rawMessage,
    };
  }
  throw new Error("the call was expected to fail");
}
