import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type DescMethod, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
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
  type SessionCommandSchema,
  type SessionEvent,
} from "@metasrv/proto/metasrv/v1";
import {
  type Certificate,
  type CertificateAuthority,
  type CertificateOptions,
  createCertificateAuthority,
  leakCheck,
} from "@metasrv/testing";
import { PlainSession } from "./plain-session.js";
import { openRpcClient, type RpcClient, type Wire } from "./rpc-client.js";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const tokenOf = (name: string) => `token-of-${name}`;
const proven = (name: string, certificateSan: string) => ({
  ...{ name, certificateSan },
  tokenSha256: [sha256(tokenOf(name))],
});

const auth = {
  principals: [
    proven("worker", "spiffe://corp/worker"),
    proven("viewer", "viewer.corp.example"),
    proven("ops", "ops@corp.example"),
    proven("nobody", "spiffe://corp/nobody"),
  ],
  roles: {
    worker: [
      { prefix: "orders/", allow: ["lock"] },
      { exact: "orders/all", deny: ["lock"] },
      { prefix: "orders/%00%FF/", deny: ["lock"] },
      { prefix: "orders/%00%FF/open/", allow: ["lock"] },
    ],
    viewer: [
      { prefix: "orders/", allow: ["inspect"] },
      { prefix: "stock%2F", allow: ["inspect"] },
    ],
    ops: [{ prefix: "", allow: ["lock", "inspect", "force"] }],
  },
} satisfies ConfigInput["auth"];

type Principal = (typeof auth)["principals"][number]["name"] | undefined;
const known = ["worker", "viewer", "ops", "nobody"] as const satisfies Principal[];
const principals: readonly Principal[] = [...known, undefined];

/** What the certificates of principals say. */
const certificates = {
  worker: { uris: ["spiffe://corp/worker"] },
  // Of several names, one counts that is known; a DNS name is the same in capitals.
  viewer: { uris: ["spiffe://corp/unknown"], hosts: ["10.0.0.1", "Viewer.corp.example"] },
  ops: { emails: ["ops@corp.example"] },
  nobody: { uris: ["spiffe://corp/nobody"] },
} satisfies Record<string, CertificateOptions>;

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
  { name: Buffer.from("orders/\0\xff/open", "latin1"), lock: ["ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/\0\xff/open/1", "latin1"), lock: ["worker", "ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/al"), lock: ["worker", "ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/all"), lock: ["ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders/all/1"), lock: ["worker", "ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("orders%2F42"), lock: ["ops"], inspect: ["ops"] },
  { name: Buffer.from("orders/%2F42"), lock: ["worker", "ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("stock/42"), lock: ["ops"], inspect: ["viewer", "ops"] },
  { name: Buffer.from("stock%2F42"), lock: ["ops"], inspect: ["ops"] },
  { name: Buffer.from("orders"), lock: ["ops"], inspect: ["ops"] },
  { name: Buffer.from("\xff", "latin1"), lock: ["ops"], inspect: ["ops"] },
];

const wires: readonly Wire[] = ["grpc", "grpc, compressed", "connect", "grpc-web", "json"];

/** How requests travel, and how their principals are known. */
interface Way {
  readonly wire: Wire;
  readonly by: "token" | "certificate";
}

const ways: readonly Way[] = (["token", "certificate"] as const).flatMap((by) => wires.map((wire) => ({ wire, by })));

let folder: string;
let authority: CertificateAuthority;
/** One asks for certificates, the other is reached without TLS; who may do what is the same. */
let servers: Readonly<Record<Way["by"], RunningServer>>;
const issued = new Map<Principal, Certificate>();
const clients = new Map<string, RpcClient>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-rights-"));
  authority = await createCertificateAuthority();
  const own = await authority.issue({ hosts: ["127.0.0.1"], usages: ["server"] });
  const tls = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem"), clientCa: join(folder, "ca.pem") };
  await Promise.all([
    writeFile(tls.cert, own.cert),
    writeFile(tls.key, own.key),
    writeFile(tls.clientCa, authority.cert),
  ]);
  for (const principal of known) {
    issued.set(principal, await issue(certificates[principal]));
  }
  servers = {
    token: await startServer({ bindAddr: "127.0.0.1:0", auth }),
    certificate: await startServer({ bindAddr: "127.0.0.1:0", auth, tls: { ...tls, clientAuth: "request" } }),
  };
});

afterAll(async () => {
  for (const client of clients.values()) {
    client[Symbol.dispose]();
  }
  await Promise.all(Object.values(servers).map((server) => server.stop()));
  await rm(folder, { recursive: true });
});

const issue = (options: CertificateOptions) => authority.issue({ usages: ["client"], ...options });

/** A client that shows this, at the server for it. */
function open({ wire, by }: Way, token?: string, certificate?: Certificate): RpcClient {
  const { address } = servers[by];
  return by === "token"
    ? openRpcClient(wire, `http://${address}`, { token })
    : openRpcClient(wire, `https://${address}`, { token, tls: { ca: authority.cert, ...certificate } });
}

/** A client that speaks for a principal. */
function transportOf(way: Way, principal: Principal): Transport {
  const key = `${way.by} ${way.wire} ${principal}`;
  const { by } = way;
  const client =
    clients.get(key) ??
    (by === "token" ? open(way, principal && tokenOf(principal)) : open(way, undefined, issued.get(principal)));
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

describe.each(ways)("by $wire, known by a $by", (way) => {
  const cases = names.flatMap((of) =>
    principals.map((principal) => ({ ...of, principal, shown: showLockName(lockNameOf(of.name)) })),
  );

  test.each(cases)("$principal and $shown", async ({ principal, name, lock, inspect }) => {
    const transport = transportOf(way, principal);
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
    const ops = createClient(LockService, transportOf(way, "ops"));
    const held = await Promise.all(names.map(({ name }) => ops.lock(byBytes(name))));
    for (const principal of principals) {
      const shown = createClient(InspectService, transportOf(way, principal));
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
    const transport = transportOf(way, undefined);
    const open: readonly object[] = [ClusterService, Health, ServerReflection];
    for (const service of [LockService, InspectService, AdminService, ClusterService, Lock, Health, ServerReflection]) {
      for (const method of service.methods) {
        const isBoth = method.methodKind === "bidi_streaming";
        if (!isBoth || !["json", "grpc-web"].includes(way.wire)) {
          const called = `${method.name}: ${await codeOf(callEmpty(transport, service, method))}`;
          expect(called).toBe(`${method.name}: ${open.includes(service) ? "ok" : "Unauthenticated"}`);
        }
      }
    }
  });

  test("a token that is nobody's is refused", async () => {
    using client = open(way, "wrong");
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

const unlockCommand = (lock: number) =>
  ({ number: 1000 + lock, command: { case: "unlock", value: { lock } } }) as const;

/** What a session said of a command, as a code. */
const outcomeOf = ({ event }: SessionEvent) => (event.case === "failed" ? Code[event.value.code] : event.case);

describe.each(ways.filter(({ wire }) => ["connect", "grpc"].includes(wire)))(
  "a session by $wire, known by a $by",
  (way) => {
    test.each(known)("of %s decides for each name as a call does", async (principal) => {
      const session = new PlainSession(createClient(LockService, transportOf(way, principal)));
      for (const [at, { name, lock }] of names.entries()) {
        session.send(lockCommand(at + 1, name));
        const { events } = await session.message((message) => message.events.length > 0);
        expect(events.map(outcomeOf)).toEqual([expectedCode(principal, lock, "granted")]);
        if (lock.includes(principal)) {
          session.send(unlockCommand(at + 1));
          expect(await session.events()).toEqual([`${1001 + at} unlocked`]);
        }
      }
      session.end();
      await session.ended();
    });
  },
);

/** A session whose commands are calls of their own. */
class AttachedSession {
  readonly #responses: AsyncIterator<AttachResponse>;
  #attachId = new Uint8Array();
  #sequence = 0n;

  private constructor(transport: Transport) {
    this.#responses = createClient(LockService, transport).attach({})[Symbol.asyncIterator]();
  }

  static async open(transport: Transport): Promise<AttachedSession> {
    const session = new AttachedSession(transport);
    session.#attachId = Uint8Array.from((await session.#next()).attachId);
    return session;
  }

  /** The code of a call that sends commands. */
  async send(transport: Transport, ...commands: MessageInitShape<typeof SessionCommandSchema>[]): Promise<string> {
    const numbered = { attachId: this.#attachId, sequence: this.#sequence + 1n };
    const code = await codeOf(createClient(LockService, transport).send({ ...numbered, request: { commands } }));
    this.#sequence += code === "ok" ? 1n : 0n;
    return code;
  }

  /** The next so many events, by the number of their command. */
  async outcomes(count: number): Promise<(string | undefined)[]> {
    const events: SessionEvent[] = [];
    while (events.length < count) {
      events.push(...((await this.#next()).response?.events ?? []));
    }
    return events.sort((one, other) => one.number - other.number).map(outcomeOf);
  }

  async end(): Promise<void> {
    await this.#responses.return?.();
  }

  async #next(): Promise<AttachResponse> {
    const response = await this.#responses.next();
    if (response.done === true) {
      throw new Error("the session has ended");
    }
    return response.value;
  }
}

describe.each(ways)("a session that is attached by $wire, known by a $by,", (way) => {
  test.each(known)("of %s decides for each name as a call does", async (principal) => {
    const transport = transportOf(way, principal);
    const session = await AttachedSession.open(transport);
    const commands = names.map(({ name }, at) => lockCommand(at + 1, name));
    expect(await session.send(transport, ...commands)).toBe("ok");
    const outcomes = await session.outcomes(names.length);
    expect(outcomes).toEqual(names.map(({ lock }) => expectedCode(principal, lock, "granted")));
    const held = commands.filter((_, at) => outcomes[at] === "granted").map(({ number }) => unlockCommand(number));
    expect(await session.send(transport, ...held)).toBe("ok");
    expect(await session.outcomes(held.length)).toEqual(held.map(() => "unlocked"));
    await session.end();
  });

  test("takes commands of its own principal only", async () => {
    const session = await AttachedSession.open(transportOf(way, "worker"));
    const command = lockCommand(1, Buffer.from("orders/mine"));
    expect(await session.send(transportOf(way, undefined), command)).toBe("Unauthenticated");
    expect(await session.send(transportOf(way, "ops"), command)).toBe("FailedPrecondition");
    expect(await session.send(transportOf(way, "worker"), command)).toBe("ok");
    expect(await session.outcomes(1)).toEqual(["granted"]);
    expect(await session.send(transportOf(way, "worker"), unlockCommand(1))).toBe("ok");
    expect(await session.outcomes(1)).toEqual(["unlocked"]);
    await session.end();
  });
});

describe.each(ways.filter(({ by }) => by === "certificate"))("by $wire, a certificate", (way) => {
  const codeWith = async (options: CertificateOptions) => {
    using client = open(way, undefined, await issue(options));
    return await codeOf(createClient(InspectService, client.transport).getLock(byBytes(Buffer.from("orders/42"))));
  };

  test.each<CertificateOptions>([
    { uris: ["spiffe://corp/worker/2"] },
    { uris: ["spiffe://corp/work"] },
    { uris: ["spiffe://corp/Worker"] },
    { uris: ["spiffe://corp/x, URI:spiffe://corp/worker"] },
    { uris: ["DNS:viewer.corp.example"] },
    { uris: ["email:ops@corp.example"] },
    { hosts: ["a.viewer.corp.example"] },
    { hosts: ["*.corp.example"] },
    { emails: ["OPS@corp.example"] },
    { commonName: "worker" },
    { commonName: "spiffe://corp/worker" },
    {},
  ])("of %j is nobody's", async (options) => {
    expect(await codeWith(options)).toBe("Unauthenticated");
  });

  test("that was renewed is of the same principal, also for a session of the one before", async () => {
    using renewed = open(way, undefined, await issue(certificates.worker));
    const session = await AttachedSession.open(transportOf(way, "worker"));
    expect(await session.send(renewed.transport, lockCommand(1, Buffer.from("orders/mine")))).toBe("ok");
    expect(await session.outcomes(1)).toEqual(["granted"]);
    expect(await session.send(renewed.transport, unlockCommand(1))).toBe("ok");
    expect(await session.outcomes(1)).toEqual(["unlocked"]);
    await session.end();
  });
});

test("the pages of health need nobody", async () => {
  for (const path of ["/healthz", "/readyz", "/"]) {
    const { status } = await fetch(`http://${servers.token.address}${path}`);
    expect(status).toBe(200);
  }
});

afterAll(leakCheck());
