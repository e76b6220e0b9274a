import { createClient } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { MetaClient } from "@metasrv/meta-client";
import { LockService } from "@metasrv/proto/metasrv/v1";

/** How long each way of taking one lock took, in milliseconds. */
export interface ShortClientsDone {
  readonly clientMs: readonly number[];
  readonly callsMs: readonly number[];
}

/** Does what a process does that needs one lock, again and again, in turns with the same by two calls. */
export async function runShortClients(url: string, count: number): Promise<ShortClientsDone> {
  const clientMs: number[] = [];
  const callsMs: number[] = [];
  for (let n = 0; n < count; n++) {
    clientMs.push(await timed(() => byClient(url, `client/${n}`)));
    callsMs.push(await timed(() => byCalls(url, `calls/${n}`)));
  }
  return { clientMs, callsMs };
}

async function byClient(url: string, name: string): Promise<void> {
  await using client = new MetaClient({ endpoints: [url] });
  await (await client.lock(name)).release();
}

async function byCalls(url: string, name: string): Promise<void> {
  const sessionManager = new Http2SessionManager(url);
  try {
    const transport = createConnectTransport({ baseUrl: url, httpVersion: "2", sessionManager });
    const locks = createClient(LockService, transport);
    const { outcome } = await locks.lock({ lock: { case: "name", value: name } });
    if (outcome.case !== "granted") {
      throw new Error("a free lock was refused");
    }
    await locks.unlock({ key: outcome.value.key });
  } finally {
    sessionManager.abort();
  }
}

async function timed(run: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await run();
  return performance.now() - startedMs;
}
