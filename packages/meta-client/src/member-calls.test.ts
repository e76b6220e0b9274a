import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { afterEach, describe, expect, test } from "@jest/globals";
import { type ClusterService, MemberRole } from "@metasrv/proto/metasrv/v1";
import { Cancellation } from "./cancellation.js";
import { checkClientOptions } from "./client-options.js";
import { systemParts } from "./client-parts.js";
import { EndpointFailure, type LockChannel, silent } from "./lock-channel.js";
import type { Member } from "./member.js";
import { UnexpectedError } from "./meta-errors.js";
import { http1LockServer, lockServer } from "./testing/http2-server.js";
import { Inbox } from "./testing/inbox.js";
import { grantEvent, ScriptedSessions } from "./testing/scripted-session.js";

const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each[Symbol.asyncDispose]();
  }
});

const leader = {
  id: "7",
  address: "a:3002",
  version: "1.2.3",
  role: MemberRole.LEADER,
  startedUnixMs: 1_767_225_600_000n,
};
const follower = { ...leader, id: "8", address: "b:3002", role: MemberRole.FOLLOWER };
// A handler that returns when nobody can hear it any more would be reported, so this one never returns.
const forever = new Promise<never>(() => undefined);
const noEnd = new Cancellation();
const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

async function channelTo(
  cluster: Partial<ServiceImpl<typeof ClusterService>> | undefined,
  server = lockServer,
): Promise<LockChannel> {
  const running = await server({}, cluster);
  const endpoint = `http://${running.authority}`;
  const config = checkClientOptions({ endpoints: [endpoint] });
  const channel = systemParts.createChannel(endpoint, config, systemParts, silent);
  opened.push(running, { [Symbol.asyncDispose]: () => channel.close(0) });
  return channel;
}

describe.each([
  ["HTTP/2", lockServer],
  ["HTTP/1.1", http1LockServer],
])("a channel over %s", (_, server) => {
  test("lists members", async () => {
    const channel = await channelTo({ listMembers: () => ({ members: [leader, follower] }) }, server);
    await expect(channel.members(noEnd)).resolves.toEqual([
      { id: "7", address: "a:3002", version: "1.2.3", role: "leader", startedAt: new Date("2026-01-01") },
      { id: "8", address: "b:3002", version: "1.2.3", role: "follower", startedAt: new Date("2026-01-01") },
    ]);
  });

  test("tells of every change until the server ends the watch", async () => {
    const channel = await channelTo(
      {
        async *watchMembers() {
          yield { members: [leader] };
          yield await Promise.resolve({ members: [leader, follower] });
          throw new ConnectError("this server is stopping", Code.Unavailable);
        },
      },
      server,
    );
    const told: number[] = [];
    const over = await failureOf(channel.watchMembers(noEnd, (members) => told.push(members.length)));
    expect(told).toEqual([1, 2]);
    expect(over).toBeInstanceOf(EndpointFailure);
    expect(over).toMatchObject({ message: "this server is stopping" });
  });

  test("takes a watch that ends well for one that failed", async () => {
    const channel = await channelTo(
      {
        async *watchMembers() {
          yield await Promise.resolve({ members: [leader] });
        },
      },
      server,
    );
    const over = await failureOf(channel.watchMembers(noEnd, () => undefined));
    expect(over).toBeInstanceOf(EndpointFailure);
    expect(over).toMatchObject({ message: "the server ended the watch" });
  });

  test("ends a watch that is not wanted any more", async () => {
    const ended = new Inbox<unknown>();
    const channel = await channelTo(
      {
        async *watchMembers(_, { signal }) {
          yield { members: [leader] };
          await once(signal, "abort");
          ended.push(true);
          await forever;
        },
      },
      server,
    );
    const scope = new Cancellation();
    const told = new Inbox<readonly Member[]>();
    const over = failureOf(channel.watchMembers(scope, (members) => told.push(members)));
    await told.next();
    scope.cancel(new Error("enough"));
    expect(await over).toEqual(new Error("enough"));
    await ended.next();
  });

  test("says when the server is too old to know", async () => {
    const channel = await channelTo(undefined, server);
    expect(await failureOf(channel.members(noEnd))).toBeInstanceOf(UnexpectedError);
    expect(await failureOf(channel.watchMembers(noEnd, () => undefined))).toBeInstanceOf(UnexpectedError);
  });

  test("is closed for good", async () => {
    const channel = await channelTo({ listMembers: () => ({ members: [] }) }, server);
    await channel.members(noEnd);
    await channel.close(0);
    expect(await failureOf(channel.members(noEnd))).toBeInstanceOf(EndpointFailure);
  });
});

describe("a process with a client that discovers", () => {
  // The package as users import it, so this test needs it to be built.
  const program = (endpoint: string): string => `
    import { MetaClient } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
    const meta = new MetaClient({ endpoints: [${JSON.stringify(endpoint)}] });
    const lock = await meta.lock("x", { keepAlive: true });
    console.log("held " + String(lock.token));
    const members = await meta.members();
    console.log("members " + String(members.length));
  `;

  test("waits for the answers to its calls, and ends with a watch of the members open", async () => {
    const sessions = new ScriptedSessions();
    const watches = new Inbox<true>();
    const listing = new Inbox<() => void>();
    await using server = await lockServer(sessions.service, {
      async *watchMembers() {
        watches.push(true);
        yield { members: [leader] };
        await forever;
      },
      listMembers: () =>
        new Promise((resolve) => {
          listing.push(() => {
            resolve({ members: [leader] });
          });
        }),
    });
    const args = ["--input-type=module", "--eval", program(`http://${server.authority}`)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const output = text(child.stdout);
    const failed = exited.then(() => Promise.reject(new Error("it ended early; is the package built?")));
    failed.catch(() => undefined);
    const session = await Promise.race([sessions.opened.next(), failed]);
    const { number } = await session.nextOne("lock");
    await Promise.race([watches.next(), failed]);
    // Long enough for a process to end that has nothing to wait for.
    await Promise.race([new Promise((resolve) => setTimeout(resolve, 300)), exited]);
    expect(child.exitCode).toBeNull();
    session.send([number, grantEvent()]);
    const answer = await Promise.race([listing.next(), failed]);
    await Promise.race([new Promise((resolve) => setTimeout(resolve, 300)), exited]);
    expect(child.exitCode).toBeNull();
    answer();
    expect(await output).toBe("held 42\nmembers 1\n");
    expect(await exited).toEqual([0, null]);
  });
});
