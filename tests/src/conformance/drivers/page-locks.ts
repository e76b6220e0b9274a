// Runs in a page. The driver in Node calls it there.

import { MetaClient } from "@metasrv/meta-client";
import { DriverError, type LockCalls } from "../lock-driver.js";
import { ClientLocks } from "./client-locks.js";

/** A call of one of the page's clients. */
export interface PageCall {
  /** Where that client's server is. Each server has a client of its own. */
  readonly url: string;
  readonly method: keyof LockCalls;
  readonly args: readonly unknown[];
  /** Names the call for {@link abort}. */
  readonly id: number;
}

/** What a call came to, as it can be carried out of the page. */
export type PageOutcome =
  | { readonly value: unknown }
  | { readonly failure: Pick<DriverError, "reason" | "state"> & { readonly cause: string } };

const clients = new Map<string, { readonly client: MetaClient; readonly locks: ClientLocks }>();
const calls = new Map<number, AbortController>();

export async function call({ url, method, args, id }: PageCall): Promise<PageOutcome> {
  const controller = new AbortController();
  calls.set(id, controller);
  try {
    const { locks } = clientOf(url);
    const [subject, ...rest] = args;
    const asked =
      method === "lock" || method === "tryLock" ? [{ ...(rest[0] as object), signal: controller.signal }] : rest;
    const run = locks[method].bind(locks) as (...args: readonly unknown[]) => Promise<unknown>;
    return { value: await run(subject, ...asked) };
  } catch (error) {
    if (error instanceof DriverError) {
      const { reason, state, cause } = error;
      return { failure: { reason, state, cause: cause instanceof Error ? cause.message : String(cause) } };
    }
    throw error;
  } finally {
    calls.delete(id);
  }
}

/** Aborts the signal of a call. */
export function abort(id: number): void {
  calls.get(id)?.abort();
}

/** Closes the client of a server. */
export async function close(url: string): Promise<void> {
  await clients.get(url)?.client.close();
  clients.delete(url);
}

function clientOf(url: string): { readonly locks: ClientLocks } {
  let found = clients.get(url);
  if (found === undefined) {
    const client = new MetaClient({ endpoints: [url], discover: false });
    found = { client, locks: new ClientLocks(client) };
    clients.set(url, found);
  }
  return found;
}
