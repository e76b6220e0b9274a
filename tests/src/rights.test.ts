import { createHash, randomBytes } from "node:crypto";
import { create, type DescMethod, type DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type ConfigInput, lockNameOf, type RunningServer, showLockName, startServer } from "@metasrv/metasrv";
import { Lock } from "@metasrv/proto/greptime/v1/meta";
import { Health } from "@metasrv/proto/grpc/health/v1";
import { ServerReflection } from "@metasrv/proto/grpc/reflection/v1";
import {
  AdminService,
  type AttachResponse,
  ClusterService,
  InspectService,
  LockService,
} from "@metasrv/proto/metasrv/v1";
import { leakCheck } from "@metasrv/testing";
import { PlainSession } from "./plain-session.js";
import { openRpcClient, type RpcClient, type Wire } from "./rpc-client.js";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const tokenOf = (name: string) => `token-of-${name}`;
const proven = (name: string) => ({ name, tokenSha256: [sha256(tokenOf(name))] });

const auth = {
  principals: [proven("worker"), proven("viewer"), proven("ops"), proven("nobody")],
  roles: {
    worker: [
      { prefix: "orders/", allow: ["lock"] },
      { exact: "orders/all", deny: ["lock"] },
      { prefix: "orders/%00%FF/", deny: ["lock"] },
    ],
    viewer: [{ prefix: "orders/", allow: ["inspect"] }],
    ops: [{ prefix: "", allow: ["lock", "inspect", "force"] }],
  },
} satisfies ConfigInput["auth"];

type Principal = (typeof auth)["principals"][number]["name"] | undefined;
const principals: readonly Principal[] = ["worker", "viewer", "ops", "nobody", undefined];

/** Who may lock and who may inspect a name, as a person would read the rules above. */
const names: readonly {
  readonly name: Buffer;
  readonly lock: readonly Principal[];
  readonly inspect: readonly Principal[];
}[] = [
  { name: Buffer.from("orders/42"), lock: ["worker", "ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/é"), lock: ["worker", "ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/\0"), lock: ["worker", "ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/\xff", "latin1"), lock: ["worker", "ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/\0\xff/1", "latin1"), lock: ["ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/all"), lock: ["ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/all/1"), lock: ["worker", "ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders%2F42"), lock: ["ops"], inspect: ["ops"] },
  { name: Buffer.from("orders"), lock: ["ops"], inspect: ["ops"] },
  { name: Buffer.from("\xff", "latin1"), lock: ["ops"], inspect: ["ops"] },
];

const wires: readonly Wire[] = ["grpc", "grpc, compressed", "connect", "grpc-web", "json"];

let server: RunningServer;
const clients = new Map<string, RpcClient>();

beforeAll(async () => {
  server = await startServer({ bindAddr: "127.0.0.1:0", auth });
});

afterAll(async () => {
  for (const client of clients.values()) {
    client[Symbol.dispose]();
  }
  await server.stop();
});

/** A client that speaks for a principal. */
function transportOf(wire: Wire, principal: Principal): Transport {
  const key = `${wire} ${principal}`;
  const token = principal && tokenOf(principal);
  const client = clients.get(key) ?? openRpcClient(wire, `http://${server.address}`, token);
  clients.set(key, client);
  return client.transport;
}

/** The code that a call ends with. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    return Code[ConnectError.from(error).code];
  }
}

/** What a call ends with that needs a right; for those who have it, a denied dry run has no such ticket. */
function expectedCode(principal: Principal, permitted: readonly Principal[], otherwise = "ok"): string {
  if (principal === undefined) {
    return "Unauthenticated";
  }
  return permitted.includes(principal) ? otherwise : "PermissionDenied";
}

async function first<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const message of stream) {
    return message;
  }
  throw new Error("the stream was empty");
}

const byBytes = (name: Uint8Array) => ({ lock: { case: "nameBytes", value: name } }) as const;

describe.each(wires)("by %s", (wire) => {
  const cases = names.flatMap((of) =>
    principals.map((principal) => ({ ...of, principal, shown: showLockName(lockNameOf(of.name)) })),
  );

  test.each(cases)("$principal and $shown", async ({ principal, name, lock, inspect }) => {
    const transport = transportOf(wire, principal);
    const locks = createClient(LockService, transport);
    const original = createClient(Lock, transport);
    const shown = createClient(InspectService, transport);
    const admin = createClient(AdminService, transport);

    expect(
      await codeOf(
        locks.lock({ ...byBytes(name), waitMs: 0n }).then(({ outcome }) => {
          return outcome.case === "granted" ? locks.unlock({ key: outcome.value.key }) : undefined;
        }),
      ),
    ).toBe(expectedCode(principal, lock));
    expect(await codeOf(original.lock({ name }).then(({ key }) => original.unlock({ key })))).toBe(
      expectedCode(principal, lock),
    );
    // The other name is one that everybody may lock who may lock something.
    const parts = [byBytes(Buffer.from("orders/other")), byBytes(name)];
    expect(
      await codeOf(
        locks.lock({ parts, waitMs: 0n }).then(({ outcome }) => {
          return outcome.case === "granted" ? locks.unlock({ key: outcome.value.key }) : undefined;
        }),
      ),
    ).toBe(expectedCode(principal, lock));
    expect(await codeOf(shown.getLock(byBytes(name)))).toBe(expectedCode(principal, inspect));
    expect(await codeOf(first(shown.watchLock(byBytes(name))))).toBe(expectedCode(principal, inspect));
    expect(await codeOf(admin.forceRelease({ ...byBytes(name), token: 1n, reason: "test", dryRun: true }))).toBe(
      expectedCode(principal, ["ops"], "FailedPrecondition"),
    );
  });

  test("lists and watches show what may be inspected, and no more", async () => {
    const ops = createClient(LockService, transportOf(wire, "ops"));
    const held = await Promise.all(names.map(({ name }) => ops.lock(byBytes(name))));
    for (const principal of principals) {
      const shown = createClient(InspectService, transportOf(wire, principal));
      const seen = names
        .filter(({ inspect }) => inspect.includes(principal))
        .map(({ name }) => name.toString("latin1"));
      const list = async () => latin1(await shown.listLocks({}));
      const watch = async () => latin1(await first(shown.watchLocks({})));
      if (principal === undefined || seen.length === 0) {
        expect([await codeOf(list()), await codeOf(watch())]).toEqual(
          Array.from({ length: 2 }, () => expectedCode(principal, [])),
        );
      } else {
        expect([await list(), await watch()]).toEqual([seen.sort(), seen.sort()]);
      }
    }
    for (const { outcome } of held) {
      await ops.unlock({ key: outcome.case === "granted" ? outcome.value.key : new Uint8Array() });
    }
  });

  test("whatever is called by nobody is refused, but for what tells of the server itself", async () => {
    const transport = transportOf(wire, undefined);
    const open: readonly object[] = [ClusterService, Health, ServerReflection];
    for (const service of [LockService, InspectService, AdminService, ClusterService, Lock, Health, ServerReflection]) {
      for (const method of service.methods) {
        const isBoth = method.methodKind === "bidi_streaming";
        if (!isBoth || !["json", "grpc-web"].includes(wire)) {
          const called = `${method.name}: ${await codeOf(callEmpty(transport, service, method))}`;
          expect(called).toBe(`${method.name}: ${open.includes(service) ? "ok" : "Unauthenticated"}`);
        }
      }
    }
  });

  test("a token that is nobody's is refused", async () => {
    using client = openRpcClient(wire, `http://${server.address}`, "wrong");
    expect(await codeOf(createClient(LockService, client.transport).unlock({}))).toBe("Unauthenticated");
  });
});

interface Rows {
  readonly locks: readonly { readonly lock: { readonly value?: string | Uint8Array | undefined } }[];
}

function latin1({ locks }: Rows): string[] {
  return locks.map(({ lock: { value = "" } }) => Buffer.from(value as string).toString("latin1")).sort();
}

/** Calls a method with a message in which nothing is said. */
async function callEmpty(transport: Transport, service: DescService, { localName, methodKind, input }: DescMethod) {
  const client = createClient(service, transport) as unknown as Record<string, (message: unknown) => unknown>;
  async function* one() {
    yield await Promise.resolve(create(input));
  }
  const answer = client[localName]?.(methodKind === "bidi_streaming" ? one() : {});
  await (methodKind === "unary" ? answer : first(answer as AsyncIterable<unknown>));
}

const lockCommand = (number: number, name: Uint8Array) =>
  ({ number, command: { case: "lock", value: { ...byBytes(name), ticketId: randomBytes(16), waitMs: 0n } } }) as const;

describe("a session", () => {
  test.each(["connect", "grpc"] as const)("by %s decides for each name as a call does", async (wire) => {
    for (const principal of principals.filter((one) => one !== undefined)) {
      const session = new PlainSession(createClient(LockService, transportOf(wire, principal)));
      for (const [at, { name, lock }] of names.entries()) {
        session.send(lockCommand(at + 1, name));
        const { events } = await session.message((message) => message.events.length > 0);
        const { event } = events[0] ?? {};
        expect(event?.case === "failed" ? Code[event.value.code] : event?.case).toBe(
          expectedCode(principal, lock, "granted"),
        );
        if (event?.case === "granted") {
          session.send({ number: 1000, command: { case: "unlock", value: { lock: at + 1 } } });
          expect(await session.events()).toEqual(["1000 unlocked"]);
        }
      }
      session.end();
      await session.ended();
    }
  });

  test("that is attached takes commands of its own principal only", async () => {
    const worker = createClient(LockService, transportOf("json", "worker"));
    const responses = worker.attach({})[Symbol.asyncIterator]();
    const next = async (): Promise<AttachResponse> => {
      const response = await responses.next();
      if (response.done === true) {
        throw new Error("the session has ended");
      }
      return response.value;
    };
    const { attachId } = await next();
    const send = (transport: Transport) =>
      createClient(LockService, transport).send({
        ...{ attachId, sequence: 1n },
        request: { commands: [lockCommand(1, Buffer.from("orders/42")), lockCommand(2, Buffer.from("stock"))] },
      });
    expect(await codeOf(send(transportOf("json", undefined)))).toBe("Unauthenticated");
    expect(await codeOf(send(transportOf("json", "ops")))).toBe("FailedPrecondition");
    await send(transportOf("json", "worker"));
    const events: string[] = [];
    while (events.length < 2) {
      const { response } = await next();
      events.push(...(response?.events ?? []).map(({ number, event }) => `${number} ${event.case ?? "nothing"}`));
    }
    expect(events.sort()).toEqual(["1 granted", "2 failed"]);
    await responses.return?.();
  });
});

test("the pages of health need nobody", async () => {
  for (const path of ["/healthz", "/readyz", "/"]) {
    const { status } = await fetch(`http://${server.address}${path}`);
    expect(status).toBe(200);
  }
});

afterAll(leakCheck());
