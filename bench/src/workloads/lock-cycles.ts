import type { ContenderId } from "../peers/contenders.js";
import { Arena } from "../servers/arena.js";
import { contest, type Entry } from "./contest.js";
import { seatOf } from "./seat-of.js";
import type { Context, Outcome, Workload } from "./workload.js";

interface Cycles {
  readonly id: string;
  readonly title: string;
  readonly method: string;
  readonly inFlight: number;
  readonly names: Entry["names"];
  /** Measured in every run. */
  readonly main: readonly ContenderId[];
  /** Measured in full runs only. */
  readonly others: readonly ContenderId[];
  readonly quick?: boolean;
}

const redisPeers = ["redlock-aof", "redis-semaphore", "redis-semaphore-aof"] as const;

const free = {
  names: "free",
  method: "Every cycle locks and unlocks a name that was never used before, through one client with one connection.",
} as const;

const hot = {
  names: "hot",
  method:
    "All clients, each with a connection of its own, lock and unlock the same name as fast as they can: a cycle is one " +
    'handover, unless the client that had the lock gets it again (see "changed hands"). Redlock and redis-semaphore ' +
    "poll, with their default delays, so that whoever released first asks first and others starve; etcd3 Lock is left " +
    "out, since it does not wait.",
} as const;

/** Workloads that are cycles of lock and unlock. */
export const lockCycles: readonly Workload[] = [
  {
    ...free,
    id: "free-1",
    title: "Free locks, 1 in flight",
    inFlight: 1,
    main: ["metasrv", "v3lock", "etcd-two-puts"],
    others: ["redlock", "etcd3-lock", ...redisPeers, "metasrv-memory", "etcd-put", "stream-noop"],
  } satisfies Cycles,
  {
    ...free,
    id: "free-64",
    title: "Free locks, 64 in flight",
    inFlight: 64,
    main: ["metasrv", "v3lock"],
    others: ["redlock", "stream-noop", "etcd3-lock", ...redisPeers, "metasrv-memory", "etcd-put"],
  } satisfies Cycles,
  {
    ...free,
    id: "free-512",
    title: "Free locks, 512 in flight",
    inFlight: 512,
    main: ["metasrv", "v3lock", "redlock", "redlock-aof", "metasrv-memory"],
    others: ["etcd3-lock", "redis-semaphore", "redis-semaphore-aof", "stream-noop"],
  } satisfies Cycles,
  {
    ...free,
    id: "tls-512",
    title: "Free locks by TLS, 512 in flight",
    inFlight: 512,
    main: ["metasrv", "metasrv-tls"],
    others: ["metasrv-memory", "metasrv-memory-tls"],
    quick: false,
  } satisfies Cycles,
  {
    ...free,
    id: "metrics-512",
    title: "Free locks with and without metrics, 512 in flight",
    inFlight: 512,
    main: ["metasrv", "metasrv-uncounted"],
    others: [],
    quick: false,
  } satisfies Cycles,
  {
    ...hot,
    id: "hot-2",
    title: "One hot lock, 2 clients",
    inFlight: 2,
    main: ["metasrv", "v3lock"],
    others: ["redlock", ...redisPeers, "metasrv-memory"],
    quick: false,
  } satisfies Cycles,
  {
    ...hot,
    id: "hot-64",
    title: "One hot lock, 64 clients",
    inFlight: 64,
    main: ["metasrv", "v3lock"],
    others: ["redlock", ...redisPeers, "metasrv-memory"],
  } satisfies Cycles,
  {
    ...free,
    id: "unary",
    title: "Unary gRPC, 64 calls in flight",
    method:
      "Lock and Unlock as unary gRPC calls over one connection, by a load generator that writes raw HTTP/2 frames, " +
      "against metasrv and against servers that do nothing. h2load, which cannot take a key from one answer into the next " +
      "request, runs against the one made with grpc-js alone, to show what the raw generator is worth.",
    inFlight: 64,
    main: ["metasrv-grpc", "grpc-noop"],
    others: ["metasrv-memory-grpc", "connect-noop", "grpc-noop-h2load"],
  } satisfies Cycles,
  ...[64, 512].map(
    (inFlight) =>
      ({
        ...free,
        id: `nodes-${inFlight}`,
        title: `One, two and three nodes, ${inFlight} in flight`,
        method:
          "Free locks, their callers spread over the nodes of a cluster, all on one machine and over one etcd. Where one of " +
          "several nodes is asked, the others serve nobody: their CPU time, all of them together, is what it costs to " +
          "follow another node.",
        inFlight,
        main: ["metasrv", "metasrv-2", "metasrv-3", "metasrv-1-of-2", "metasrv-1-of-3"],
        others: [],
        quick: false,
      }) satisfies Cycles,
  ),
].map((cycles: Cycles) => ({
  id: cycles.id,
  title: cycles.title,
  method: cycles.method,
  quick: cycles.quick ?? true,
  run: (context) => run(cycles, context),
}));

async function run({ id, inFlight, names, main, others }: Cycles, context: Context): Promise<Outcome> {
  await using arena = new Arena();
  const entries: Entry[] = [];
  for (const contender of context.plan.quick ? main : [...main, ...others]) {
    const seat = await seatOf(contender, arena, context);
    if (seat !== undefined) {
      entries.push({ workload: id, contender, seat, inFlight, names, clients: names === "hot" ? inFlight : 1 });
    }
  }
  return { rows: await contest(entries, context), figures: [] };
}
