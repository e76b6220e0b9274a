import type { Metasrv } from "@metasrv/testing";
import type { Part } from "../measure/sample.js";
import type { Arena } from "../servers/arena.js";
import type { ClientSpec } from "./lock-client.js";

/** A contender whose servers run. */
export interface Seat {
  /** What generates its load: a client in the load generator's process, or h2load. */
  readonly load: ClientSpec | { readonly kind: "h2load"; readonly address: string };
  /** The processes whose CPU time is counted, besides the load generator. */
  readonly pids: Readonly<Partial<Record<Exclude<Part, "client">, readonly number[]>>>;
}

/** Something that is measured: metasrv, a peer or a floor. */
export interface Contender {
  /** What it is called in tables. */
  readonly label: string;
  readonly seat: (arena: Arena) => Promise<Seat>;
}

/** All that can be measured, by id. */
export const contenders = {
  metasrv: {
    label: "metasrv",
    seat: (arena) => nodes(arena, 1),
  },
  "metasrv-2": {
    label: "metasrv, two nodes",
    seat: (arena) => nodes(arena, 2),
  },
  "metasrv-3": {
    label: "metasrv, three nodes",
    seat: (arena) => nodes(arena, 3),
  },
  "metasrv-1-of-2": {
    label: "metasrv, one of two nodes asked",
    seat: (arena) => oneOf(arena, 2),
  },
  "metasrv-1-of-3": {
    label: "metasrv, one of three nodes asked",
    seat: (arena) => oneOf(arena, 3),
  },
  "metasrv-memory": {
    label: "metasrv, in memory",
    seat: async (arena) => {
      const server = await arena.memoryMetasrv();
      return { load: { kind: "metasrv", urls: [server.url] }, pids: { server: [server.pid] } };
    },
  },
  "metasrv-uncounted": {
    label: "metasrv, `--metrics off`",
    seat: async (arena) => {
      const [{ url, pid }, etcd] = [await arena.uncountedMetasrv(), await arena.etcd()];
      return { load: { kind: "metasrv", urls: [url] }, pids: { server: [pid], store: [etcd.pid] } };
    },
  },
  "metasrv-tls": {
    label: "metasrv by TLS",
    seat: async (arena) => {
      const [{ url, pid, ca }, etcd] = [await arena.tlsMetasrv("etcd"), await arena.etcd()];
      return { load: { kind: "metasrv", urls: [url], ca }, pids: { server: [pid], store: [etcd.pid] } };
    },
  },
  "metasrv-memory-tls": {
    label: "metasrv by TLS, in memory",
    seat: async (arena) => {
      const { url, pid, ca } = await arena.tlsMetasrv("memory");
      return { load: { kind: "metasrv", urls: [url], ca }, pids: { server: [pid] } };
    },
  },
  "metasrv-grpc": {
    label: "metasrv, unary gRPC",
    seat: async (arena) => {
      const [server] = await arena.metasrv(1);
      const etcd = await arena.etcd();
      return { load: raw(server), pids: { server: [server.pid], store: [etcd.pid] } };
    },
  },
  "metasrv-memory-grpc": {
    label: "metasrv, in memory, unary gRPC",
    seat: async (arena) => {
      const server = await arena.memoryMetasrv();
      return { load: raw(server), pids: { server: [server.pid] } };
    },
  },
  v3lock: {
    label: "etcd v3lock (grpc-js)",
    seat: (arena) => onEtcd(arena, (address) => ({ kind: "v3lock", address })),
  },
  "etcd3-lock": {
    label: "etcd3 Lock",
    seat: (arena) => onEtcd(arena, (address) => ({ kind: "etcd3-lock", address })),
  },
  redlock: {
    label: "Redlock, Redis volatile",
    seat: async (arena) => {
      const { address, pid } = await arena.redis("volatile");
      return { load: { kind: "redlock", address }, pids: { store: [pid] } };
    },
  },
  "redlock-aof": {
    label: "Redlock, Redis AOF always",
    seat: async (arena) => {
      const { address, pid } = await arena.redis("aof-always");
      return { load: { kind: "redlock", address }, pids: { store: [pid] } };
    },
  },
  "redis-semaphore": {
    label: "redis-semaphore, Redis volatile",
    seat: async (arena) => {
      const { address, pid } = await arena.redis("volatile");
      return { load: { kind: "redis-semaphore", address }, pids: { store: [pid] } };
    },
  },
  "redis-semaphore-aof": {
    label: "redis-semaphore, Redis AOF always",
    seat: async (arena) => {
      const { address, pid } = await arena.redis("aof-always");
      return { load: { kind: "redis-semaphore", address }, pids: { store: [pid] } };
    },
  },
  "metasrv-singly": {
    label: "metasrv, one lock after the other",
    seat: async (arena) => {
      const { load, pids } = await nodes(arena, 1);
      return { load: { ...load, kind: "metasrv-singly" }, pids };
    },
  },
  "etcd3-recipe": {
    label: "recipe on etcd3",
    seat: (arena) => onEtcd(arena, (address) => ({ kind: "etcd3-recipe", address })),
  },
  "etcd-put": {
    label: "floor: one etcd put",
    seat: (arena) => onEtcd(arena, (address) => ({ kind: "etcd-put", address, puts: 1 })),
  },
  "etcd-two-puts": {
    label: "floor: two etcd puts, one after the other",
    seat: (arena) => onEtcd(arena, (address) => ({ kind: "etcd-put", address, puts: 2 })),
  },
  "stream-noop": {
    label: "floor: Connect stream to a server that does nothing",
    seat: async (arena) => {
      const { address, pid } = await arena.floor("stream-noop-server");
      return { load: { kind: "stream-noop", url: `http://${address}` }, pids: { server: [pid] } };
    },
  },
  "grpc-noop": {
    label: "floor: grpc-js server that does nothing",
    seat: async (arena) => {
      const { address, pid } = await arena.floor("grpc-noop-server");
      return { load: { kind: "raw-grpc", address }, pids: { server: [pid] } };
    },
  },
  "connect-noop": {
    label: "floor: Connect server that does nothing",
    seat: async (arena) => {
      const { address, pid } = await arena.floor("connect-noop-server");
      return { load: { kind: "raw-grpc", address }, pids: { server: [pid] } };
    },
  },
  "grpc-noop-h2load": {
    label: "the same under h2load, two calls as one cycle",
    seat: async (arena) => {
      const { address, pid } = await arena.floor("grpc-noop-server");
      return { load: { kind: "h2load", address }, pids: { server: [pid] } };
    },
  },
} as const satisfies Record<string, Contender>;

/** Id of a contender. */
export type ContenderId = keyof typeof contenders;

async function nodes(arena: Arena, count: number): Promise<Seat & { load: { kind: "metasrv" } }> {
  const cluster = await arena.metasrv(count);
  const etcd = await arena.etcd();
  return {
    load: { kind: "metasrv", urls: cluster.map(({ url }) => url) },
    pids: { server: cluster.map(({ pid }) => pid), store: [etcd.pid] },
  };
}

/** All callers use the first node. The others only follow it. */
async function oneOf(arena: Arena, count: number): Promise<Seat> {
  const [asked, ...followers] = await arena.metasrv(count);
  const etcd = await arena.etcd();
  return {
    load: { kind: "metasrv", urls: [asked.url] },
    pids: { server: [asked.pid], follower: followers.map(({ pid }) => pid), store: [etcd.pid] },
  };
}

async function onEtcd(arena: Arena, spec: (address: string) => ClientSpec): Promise<Seat> {
  const { endpoint, pid } = await arena.etcd();
  return { load: spec(endpoint), pids: { store: [pid] } };
}

function raw({ address }: Metasrv): ClientSpec {
  return { kind: "raw-grpc", address };
}
