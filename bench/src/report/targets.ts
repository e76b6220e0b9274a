import type { Results } from "./results.js";

/** A bound that a measured value must keep. */
interface Target {
  readonly text: string;
  readonly unit: string;
  /** Which side of the bound is better. */
  readonly better: "more" | "less";
  readonly must: number;
  readonly aim: number;
  readonly measured: (results: Results) => number | undefined;
}

/** The result for a target. */
export interface Verdict {
  readonly text: string;
  readonly unit: string;
  readonly better: "more" | "less";
  readonly must: number;
  readonly aim: number;
  readonly measured: number | undefined;
  readonly outcome: "aim reached" | "pass" | "miss" | "not measured";
}

const targets: readonly Target[] = [
  {
    text: "512 free locks in flight, against etcd v3lock",
    unit: "×",
    better: "more",
    must: 10,
    aim: 14,
    measured: (results) => results.speedRatio("free-512", "metasrv", "v3lock"),
  },
  {
    text: "512 free locks in flight, against Redlock on a volatile Redis",
    unit: "×",
    better: "more",
    must: 0.9,
    aim: 1.3,
    measured: (results) => results.speedRatio("free-512", "metasrv", "redlock"),
  },
  {
    text: "512 free locks in flight, against Redlock on a Redis that fsyncs (AOF always)",
    unit: "×",
    better: "more",
    must: 1,
    aim: 1,
    measured: (results) => results.speedRatio("free-512", "metasrv", "redlock-aof"),
  },
  {
    text: "64 free locks in flight, against etcd v3lock",
    unit: "×",
    better: "more",
    must: 5,
    aim: 8,
    measured: (results) => results.speedRatio("free-64", "metasrv", "v3lock"),
  },
  {
    text: "p50 of lock and unlock, 1 in flight, against two etcd puts",
    unit: "×",
    better: "less",
    must: 1.7,
    aim: 1.4,
    measured: (results) => results.p50Ratio("free-1", "metasrv", "etcd-two-puts"),
  },
  {
    text: "one hot lock with 64 clients, against etcd v3lock",
    unit: "×",
    better: "more",
    must: 1.5,
    aim: 2.2,
    measured: (results) => results.speedRatio("hot-64", "metasrv", "v3lock"),
  },
  {
    text: "one shared lock with 64 readers, against a recipe on etcd3",
    unit: "×",
    better: "more",
    must: 1.5,
    aim: 2,
    measured: (results) => results.speedRatio("shared-64", "metasrv", "etcd3-recipe"),
  },
  {
    text: "one shared lock with 512 readers, against a recipe on etcd3",
    unit: "×",
    better: "more",
    must: 3,
    aim: 5,
    measured: (results) => results.speedRatio("shared-512", "metasrv", "etcd3-recipe"),
  },
  {
    text: "nine reads to a write on one lock with 64 clients, against a recipe on etcd3",
    unit: "×",
    better: "more",
    must: 1.5,
    aim: 2,
    measured: (results) => results.speedRatio("readers-writers-64", "metasrv", "etcd3-recipe"),
  },
  {
    text: "a semaphore of 8 with 64 clients, against a recipe on etcd3",
    unit: "×",
    better: "more",
    must: 2,
    aim: 3.5,
    measured: (results) => results.speedRatio("semaphore-64", "metasrv", "etcd3-recipe"),
  },
  {
    text: "groups of 2 at once, against one lock after the other",
    unit: "×",
    better: "more",
    must: 1.1,
    aim: 1.5,
    measured: (results) => results.speedRatio("group-2", "metasrv", "metasrv-singly"),
  },
  {
    text: "groups of 8 at once, against one lock after the other",
    unit: "×",
    better: "more",
    must: 2,
    aim: 4,
    measured: (results) => results.speedRatio("group-8", "metasrv", "metasrv-singly"),
  },
  {
    text: "in memory, 512 free locks in flight, against Redlock on a volatile Redis",
    unit: "×",
    better: "more",
    must: 1.5,
    aim: 2.5,
    measured: (results) => results.speedRatio("free-512", "metasrv-memory", "redlock"),
  },
  {
    text: "512 free locks in flight by TLS, against without",
    unit: "×",
    better: "more",
    must: 0.85,
    aim: 0.95,
    measured: (results) => results.speedRatio("tls-512", "metasrv-tls", "metasrv"),
  },
  {
    text: "512 free locks in flight with metrics, against without",
    unit: "×",
    better: "more",
    must: 0.98,
    aim: 0.99,
    measured: (results) => results.speedRatio("metrics-512", "metasrv", "metasrv-uncounted"),
  },
  {
    text: "CPU of the server a lock and unlock, 512 in flight",
    unit: "µs",
    better: "less",
    must: 38,
    aim: 28,
    measured: (results) => results.row("free-512", "metasrv")?.cpuUs.server,
  },
  {
    text: "CPU of etcd a lock and unlock, 512 in flight",
    unit: "µs",
    better: "less",
    must: 15,
    aim: 10,
    measured: (results) => results.row("free-512", "metasrv")?.cpuUs.store,
  },
  {
    text: "unary gRPC, against a grpc-js server that does nothing",
    unit: "×",
    better: "more",
    must: 0.4,
    aim: 1,
    measured: (results) => results.speedRatio("unary", "metasrv-grpc", "grpc-noop"),
  },
  {
    text: "10,000 locks kept alive, CPU of the server",
    unit: "% of a core",
    better: "less",
    must: 15,
    aim: 5,
    measured: (results) => results.figure("kept-alive/server-cpu"),
  },
  {
    text: "10,000 locks kept alive, CPU of the client",
    unit: "% of a core",
    better: "less",
    must: 15,
    aim: 5,
    measured: (results) => results.figure("kept-alive/client-cpu"),
  },
  {
    text: "p50 of a grant with 10,000 waiters, against 1",
    unit: "×",
    better: "less",
    must: 1.5,
    aim: 1.2,
    measured: (results) => results.p50RatioAcross("metasrv", "queue-10000", "queue-1"),
  },
  {
    text: "slowest try-lock while 5,000 requests for the lock come in",
    unit: "ms",
    better: "less",
    must: 100,
    aim: 50,
    measured: (results) => results.figure("try-burst/burst-max"),
  },
  {
    text: "throughput with 1,000 held locks, against 1,000,000",
    unit: "×",
    better: "less",
    must: 1.5,
    aim: 1.2,
    measured: (results) => results.speedRatioAcross("metasrv", "held-1000", "held-1000000"),
  },
  {
    text: "heap a held lock",
    unit: "bytes",
    better: "less",
    must: 1200,
    aim: 900,
    measured: (results) => results.figure("heap/lock"),
  },
  {
    text: "start with 1,000,000 tickets",
    unit: "s",
    better: "less",
    must: 8,
    aim: 3,
    measured: (results) => results.figure("start/ready-1000000"),
  },
  {
    text: "longest pause of the event loop while a snapshot of 1,000,000 tickets is written",
    unit: "ms",
    better: "less",
    must: 20,
    aim: 5,
    measured: (results) => results.figure("snapshot/pause-1000000"),
  },
  {
    text: "throughput meanwhile, against before and after",
    unit: "×",
    better: "more",
    must: 0.9,
    aim: 0.97,
    measured: (results) => results.figure("snapshot/share"),
  },
  {
    text: "longest pause of the event loop while 1,000,000 locks are listed",
    unit: "ms",
    better: "less",
    must: 20,
    aim: 10,
    measured: (results) => results.figure("list/pause-1000000"),
  },
  {
    text: "throughput while their names are put in order, against before and after",
    unit: "×",
    better: "more",
    must: 0.95,
    aim: 0.98,
    measured: (results) => results.figure("list/share-first"),
  },
  {
    text: "throughput with a watch of the locks, against without",
    unit: "×",
    better: "more",
    must: 0.9,
    aim: 0.97,
    measured: (results) => results.speedRatioAcross("metasrv", "watched", "unwatched"),
  },
  {
    text: "growth of the server's memory while 10,000 changes a second are watched",
    unit: "MiB",
    better: "less",
    must: 16,
    aim: 4,
    measured: (results) => results.figure("watch/growth"),
  },
  {
    text: "longest pause of the event loop meanwhile",
    unit: "ms",
    better: "less",
    must: 60,
    aim: 20,
    measured: (results) => results.figure("watch/pause"),
  },
  {
    text: "slowest of 50 scrapes with 1,000,000 held locks in 100 families",
    unit: "ms",
    better: "less",
    must: 50,
    aim: 25,
    measured: (results) => results.figure("scrape/slowest-1000000"),
  },
  {
    text: "longest pause of the event loop meanwhile",
    unit: "ms",
    better: "less",
    must: 10,
    aim: 5,
    measured: (results) => results.figure("scrape/pause-1000000"),
  },
];

/** Compares what was measured with the targets. */
export function judge(results: Results): readonly Verdict[] {
  return targets.map((target) => {
    const { better, must, aim } = target;
    const measured = target.measured(results);
    const reaches = (bound: number): boolean =>
      measured !== undefined && (better === "more" ? measured >= bound : measured <= bound);
    const outcome =
      measured === undefined ? "not measured" : reaches(aim) ? "aim reached" : reaches(must) ? "pass" : "miss";
    return { text: target.text, unit: target.unit, better, must, aim, measured, outcome };
  });
}
