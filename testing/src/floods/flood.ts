/** What a flood saw of the server. */
export interface FloodResult {
  /** After how long the server ended its connection, in milliseconds; absent: it did not. */
  readonly endedMs?: number;
  /** How many of its calls were answered with each gRPC status; "open": with something that goes on. */
  readonly answers?: Readonly<Record<string, number>>;
  /** The last message that came with a status. */
  readonly message?: string;
  /** How long the server took for one handshake that was meant, in milliseconds. */
  readonly handshakeMs?: number;
  /** How many of its connections were open then. */
  readonly open?: number;
}

/** Where to. */
export interface FloodTarget {
  readonly host: string;
  readonly port: number;
}

/** What a hostile client does until it has done it all, or its connection is ended. */
export type Flood = (target: FloodTarget) => Promise<FloodResult>;
