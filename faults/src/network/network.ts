import type { Host } from "@metasrv/testing";

/** One side of a node: those it serves, or the store. */
export type Side = "clients" | "store";

/** The direction in which nothing passes, seen from the node. */
export type Way = "both" | "in" | "out";

/** Where a node is in the network, and what can be done to its links. */
export interface NodeLinks extends AsyncDisposable {
  /** Where clients reach it, as host:port. */
  readonly clientAddress: string;
  /** Where it reaches the members of the store, as host:port. */
  readonly storeAddresses: readonly string[];
  /** Whether {@link slow} works here. */
  readonly canSlow: boolean;
  /** Lets nothing pass from now on. Nobody is told. */
  cut(side: Side, way: Way): Promise<void>;
  /** Delays everything by so much, each way. */
  slow(side: Side, latencyMs: number): void;
  /** Undoes all cuts and delays. */
  heal(): Promise<void>;
}

/** What a node is linked to. */
export interface NodeEnds {
  /** Which node, from 0 on. */
  readonly index: number;
  /** Where it listens, as host:port. */
  readonly address: string;
  /** Where the members of the store listen. */
  readonly storeEndpoints: readonly string[];
}

/** A network for a campaign. */
export interface Network {
  readonly kind: "namespaces" | "proxies";
  /** The machine on which a process runs; undefined: this machine as it is. `index` counts the processes of a kind. */
  host(kind: "store" | "node" | "client", index: number): Host | undefined;
  /** Links a node, which listens already or will soon, to its clients and to etcd. */
  link(ends: NodeEnds): Promise<NodeLinks>;
  /**
   * Cuts a member of etcd off from everything, until the function that it resolves with is called; undefined where that
   * is not possible.
   */
  readonly isolateStore?: (index: number) => Promise<() => Promise<void>>;
}
