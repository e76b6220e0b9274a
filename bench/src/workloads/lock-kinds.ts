import { type ContenderId, contenders, type Seat } from "../peers/contenders.js";
import type { DemandId } from "../peers/demand.js";
import { Arena } from "../servers/arena.js";
import { contest, type Entry } from "./contest.js";
import { seatOf } from "./seat-of.js";
import type { Context, Outcome, Workload } from "./workload.js";

interface Kinds {
  readonly id: string;
  readonly title: string;
  readonly method: string;
  readonly demand: DemandId;
  readonly inFlight: number;
  /** Measured in every run. */
  readonly main: readonly ContenderId[];
  /** Measured in full runs only. */
  readonly others: readonly ContenderId[];
}

const mostClients = 64;

const holding =
  "A holder releases in the next turn of its event loop. No more may hold at a time, as the callers see it, than are " +
  'allowed, and at the end everything must be free again, or the run fails. "Least served" are the cycles of the caller ' +
  "that had the fewest, by those of the average one.";

const recipe =
  "The recipe on etcd3 is what Curator has on ZooKeeper: a request is a key, written by a transaction that also reads " +
  "the keys before it, and a watch counts their deletions.";

const readers = {
  demand: "readers",
  main: ["metasrv", "etcd3-recipe"],
  others: ["metasrv-memory"],
} as const;

const groups = {
  main: ["metasrv", "metasrv-singly"],
  others: ["metasrv-memory"],
} as const;

const groupMethod =
  "Each client, on a connection of its own, takes names that are drawn anew for every cycle, by one call of `lockAll`. " +
  "Beside it, what people do without it: the same client locks the same names one after the other in their order, and " +
  `releases them together. A lock is here the whole group. ${holding}`;

/** Workloads of what is not a plain lock. */
export const lockKinds: readonly Workload[] = [
  {
    ...readers,
    id: "shared-64",
    title: "One shared lock, 64 readers",
    method: `All readers, each with a connection of its own, share one lock, which nobody asks for alone. ${recipe} ${holding}`,
    inFlight: 64,
  } satisfies Kinds,
  {
    ...readers,
    id: "shared-512",
    title: "One shared lock, 512 readers",
    method: `The same with 8 readers on each of ${mostClients} connections.`,
    inFlight: 512,
  } satisfies Kinds,
  {
    id: "readers-writers-64",
    title: "One lock, 64 clients, nine reads to a write",
    method:
      "Each client, on a connection of its own, shares the lock in nine of ten cycles, by chance, and has it for itself in " +
      `the others. Readers wait behind a writer that came before them. ${recipe} ${holding}`,
    demand: "readers-and-writers",
    inFlight: 64,
    main: ["metasrv", "etcd3-recipe"],
    others: ["metasrv-memory"],
  } satisfies Kinds,
  {
    id: "semaphore-64",
    title: "One semaphore of 8 permits, 64 clients",
    method:
      "All clients, each with a connection of its own, take one permit of the same semaphore. redis-semaphore polls, with " +
      `its default delay, so that whoever released first asks first and others starve. ${recipe} ${holding}`,
    demand: "permits",
    inFlight: 64,
    main: ["metasrv", "etcd3-recipe", "redis-semaphore"],
    others: ["redis-semaphore-aof", "metasrv-memory"],
  } satisfies Kinds,
  {
    ...groups,
    id: "group-2",
    title: "Groups of 2 among 100 locks, 64 clients",
    method: groupMethod,
    demand: "groups-of-2",
    inFlight: 64,
  } satisfies Kinds,
  {
    ...groups,
    id: "group-8",
    title: "Groups of 8 among 100 locks, 64 clients",
    method: groupMethod,
    demand: "groups-of-8",
    inFlight: 64,
  } satisfies Kinds,
].map((kinds: Kinds) => ({
  id: kinds.id,
  title: kinds.title,
  method: kinds.method,
  quick: false,
  run: (context) => run(kinds, context),
}));

async function run({ id, demand, inFlight, main, others }: Kinds, context: Context): Promise<Outcome> {
  await using arena = new Arena();
  const entries: Entry[] = [];
  for (const contender of context.plan.quick ? main : [...main, ...others]) {
    const seat = await seatOf(contender, arena, context);
    if (seat !== undefined) {
      const clients = Math.min(inFlight, mostClients);
      entries.push({
        workload: id,
        contender,
        seat: asking(seat, demand, contender),
        inFlight,
        clients,
        names: "asked",
      });
    }
  }
  return { rows: await contest(entries, context), figures: [] };
}

function asking({ load, pids }: Seat, demand: DemandId, contender: ContenderId): Seat {
  switch (load.kind) {
    case "metasrv":
    case "metasrv-singly":
    case "redis-semaphore":
    case "etcd3-recipe":
      return { load: { kind: "asking", demand, by: load }, pids };
    default:
      throw new Error(`${contenders[contender].label} has plain locks only`);
  }
}
