import type { LogFigures } from "../log/command-log.js";
import type { Buckets } from "./buckets.js";
import type { Family, KindTimes } from "./family.js";
import type { Metrics } from "./metrics.js";

/** Where the figures come from. Each is read when the page is made. */
export interface MetricSources {
  readonly metrics: Metrics;
  /** What the locks of a family come to on all nodes. */
  readonly tally: (family: Family) => {
    readonly locks: number;
    readonly waiting: number;
    readonly oldestWaitMs: number;
  };
  /** Infinity when it lasts for ever. */
  readonly membershipLeftMs: () => number;
  readonly leads: () => boolean;
  readonly logFigures: () => LogFigures;
  readonly sessions: () => number;
  /** By how much timers were late at most since this was called last, in milliseconds. */
  readonly eventLoopDelayMs: () => number;
  /** When the certificate that clients are shown expires, in milliseconds of Unix time; undefined without TLS. */
  readonly certificateExpiresAtMs?: (() => number | undefined) | undefined;
  readonly version: string;
}

/** What distinguishes the values of one metric. */
export type Labels = Readonly<Record<string, string>>;

/** One value. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** One histogram. */
export interface LabelledBuckets {
  readonly labels: Labels;
  readonly buckets: Buckets;
}

interface Described {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** A metric that the page has. */
export type Definition = Described &
  (
    | { readonly type: "counter" | "gauge"; readonly read: () => Iterable<Sample> }
    | { readonly type: "histogram"; readonly read: () => Iterable<LabelledBuckets> }
  );

/** All metrics, in the order of the page. */
export function defineMetrics(sources: MetricSources): readonly Definition[] {
  const { metrics, tally, logFigures } = sources;
  const families = () => [...metrics.families.all()];
  const cluster = (value: (family: Family) => number) => () =>
    families().map((family) => ({ labels: { family: family.label, scope: "cluster" }, value: value(family) }));
  const times = (of: (times: KindTimes) => Buckets) => () =>
    families().flatMap(({ label: family, times }) =>
      [...times].map(([kind, one]) => ({ labels: { family, kind }, buckets: of(one) })),
    );
  const counts = (label: string, of: (family: Family) => Readonly<Record<string, number>>) => () =>
    families().flatMap((family) =>
      Object.entries(of(family)).map(([key, value]) => ({ labels: { family: family.label, [label]: key }, value })),
    );
  const figure = (of: (figures: LogFigures) => number | undefined) => () => only(of(logFigures()));
  return [
    {
      name: "metasrv_lock_wait_seconds",
      type: "histogram",
      help: "Time from a request at this server to its grant.",
      labels: ["family", "kind"],
      read: times(({ waits }) => waits),
    },
    {
      name: "metasrv_lock_hold_seconds",
      type: "histogram",
      help: "Time from a grant to the end of the hold at this server.",
      labels: ["family", "kind"],
      read: times(({ holds }) => holds),
    },
    {
      name: "metasrv_locks_held",
      type: "gauge",
      help: "Locks that are held, on all servers.",
      labels: ["family", "scope"],
      read: cluster((family) => tally(family).locks),
    },
    {
      name: "metasrv_tickets_waiting",
      type: "gauge",
      help: "Requests that wait, on all servers.",
      labels: ["family", "scope"],
      read: cluster((family) => tally(family).waiting),
    },
    {
      name: "metasrv_oldest_wait_seconds",
      type: "gauge",
      help: "For how long the request waits that has waited longest, on all servers; 0 when none waits.",
      labels: ["family", "scope"],
      read: cluster((family) => tally(family).oldestWaitMs / 1000),
    },
    {
      name: "metasrv_requests_total",
      type: "counter",
      help: "Requests for locks that this server has answered, or whose requester has gone.",
      labels: ["family", "outcome"],
      read: counts("outcome", ({ requests }) => requests),
    },
    {
      name: "metasrv_holds_ended_total",
      type: "counter",
      help: "Holds that have ended at this server.",
      labels: ["family", "how"],
      read: counts("how", ({ holdsEnded }) => holdsEnded),
    },
    {
      name: "metasrv_deadlocks_total",
      type: "counter",
      help: "Requests of this server that were found to wait for each other.",
      labels: [],
      read: () => only(metrics.deadlocks),
    },
    {
      name: "metasrv_limit_mismatches_total",
      type: "counter",
      help: "Grants of semaphores of which another holder says that they have fewer permits.",
      labels: [],
      read: () => only(families().reduce((sum, { limitMismatches }) => sum + limitMismatches, 0)),
    },
    {
      name: "metasrv_denied_total",
      type: "counter",
      help: "Requests that this server did not allow.",
      labels: ["reason"],
      read: () => [...metrics.denials].map(([reason, value]) => ({ labels: { reason }, value })),
    },
    {
      name: "metasrv_etcd_txn_seconds",
      type: "histogram",
      help: "Time that etcd took to answer the write of an entry.",
      labels: [],
      read: () => [{ labels: {}, buckets: metrics.txnSeconds }],
    },
    {
      name: "metasrv_etcd_txn_ops",
      type: "histogram",
      help: "Commands of an entry.",
      labels: [],
      read: () => [{ labels: {}, buckets: metrics.txnCommands }],
    },
    {
      name: "metasrv_etcd_watch_lag_seconds",
      type: "gauge",
      help: "How long ago everything that was committed by then had surely been read; up to about 1 all the time.",
      labels: [],
      read: figure(({ behindMs }) => behindMs && behindMs / 1000),
    },
    {
      name: "metasrv_etcd_database_bytes",
      type: "gauge",
      help: "Size of etcd's database, looked at once a minute by the leader only.",
      labels: [],
      read: figure(({ databaseBytes }) => databaseBytes),
    },
    {
      name: "metasrv_etcd_quota_bytes",
      type: "gauge",
      help: "How large etcd's database may be, as configured.",
      labels: [],
      read: figure(({ quotaBytes }) => quotaBytes),
    },
    {
      name: "metasrv_log_bytes",
      type: "gauge",
      help: "Size of the log that no snapshot covers yet.",
      labels: [],
      read: figure(({ logBytes }) => logBytes),
    },
    {
      name: "metasrv_snapshot_bytes",
      type: "gauge",
      help: "Size of the snapshot that counts.",
      labels: [],
      read: figure(({ snapshotBytes }) => snapshotBytes),
    },
    {
      name: "metasrv_membership_seconds_left",
      type: "gauge",
      help: "How long this server may go on granting unless etcd answers; +Inf with locks in memory.",
      labels: [],
      read: () => only(sources.membershipLeftMs() / 1000),
    },
    {
      name: "metasrv_leader",
      type: "gauge",
      help: "1 on the server that leads, else 0.",
      labels: [],
      read: () => only(sources.leads() ? 1 : 0),
    },
    {
      name: "metasrv_sessions",
      type: "gauge",
      help: "Open sessions.",
      labels: [],
      read: () => only(sources.sessions()),
    },
    {
      name: "metasrv_event_loop_delay_seconds",
      type: "gauge",
      help: "By how much timers were late at most since the page was asked for last.",
      labels: [],
      read: () => only(sources.eventLoopDelayMs() / 1000),
    },
    {
      name: "metasrv_tls_cert_expiry_timestamp_seconds",
      type: "gauge",
      help: "When the server's certificate expires, in Unix time; absent without TLS.",
      labels: [],
      read: () => {
        const atMs = sources.certificateExpiresAtMs?.();
        return only(atMs === undefined ? undefined : atMs / 1000);
      },
    },
    {
      name: "metasrv_build_info",
      type: "gauge",
      help: "1; its labels say what runs.",
      labels: ["version", "node"],
      read: () => [{ labels: { version: sources.version, node: process.versions.node }, value: 1 }],
    },
  ];
}

function only(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ labels: {}, value }];
}
