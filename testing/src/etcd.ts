import { mkdtemp, readFile, rm } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { get as getByTls } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Exit } from "./child.js";
import { Child } from "./child.js";
import { leaderOf } from "./etcd-leader.js";
import { freePorts } from "./free-port.js";
import type { Host } from "./host.js";
import { findOrInstall } from "./tools.js";

/** How to start an etcd. */
export interface EtcdOptions {
  /** Path of the program; absent: the one that `findOrInstall("etcd")` finds. */
  readonly bin?: string;
  /** More flags, such as `--quota-backend-bytes=4194304`. They come last and so override others. */
  readonly extraArgs?: readonly string[];
  /** The folder for its data, which is kept. Absent: a temporary folder, which is removed at the end. */
  readonly dataDir?: string;
  /** Its clients must use TLS; absent: they must not. etcd reads the files anew for each connection. */
  readonly tls?: EtcdTlsFiles;
  /** The machines of the members, in order; absent: this one. */
  readonly hosts?: readonly Host[];
}

/** Files in PEM. */
export interface EtcdTlsFiles {
  /** The members' certificate, for servers and for clients: a member is a client of itself. */
  readonly cert: string;
  readonly key: string;
  /** The authority that signs clients' certificates, that of the members among them. Absent: clients need none. */
  readonly clientCa?: string;
}

/** A running etcd member. Disposing of it kills it and removes its data. */
export interface Etcd extends AsyncDisposable {
  /** Where clients reach it, as host:port. It stays the same over restarts. */
  readonly endpoint: string;
  /** Where it keeps its data. */
  readonly dataDir: string;
  /** Pid of the process that runs now, or ran last. */
  readonly pid: number;
  /** Sends a signal; for SIGKILL, the default, resolves when the process has ended. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it in order and resolves when it has ended. */
  stop(): Promise<Exit>;
  /** Starts it again on the same ports and data, killing it first if it runs; resolves when it answers. */
  restart(): Promise<void>;
}

/** Several etcd members that are one cluster. Disposing of it disposes of them all. */
export interface EtcdCluster extends AsyncDisposable {
  readonly members: readonly Etcd[];
  /** Where clients reach the members, as host:port. */
  readonly endpoints: readonly string[];
  /** The member that leads, according to most of the members that answer; undefined while there is none. */
  leader(): Promise<Etcd | undefined>;
}

interface Place {
  readonly name: string;
  readonly host: Host | undefined;
  readonly address: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

const START_ATTEMPTS = 5;
const HEALTHY_WITHIN_MS = 20_000;

/** Starts an etcd of its own on free ports of 127.0.0.1 and resolves when it is healthy. */
export async function startEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const [member] = (await startEtcdCluster(1, options)).members;
  if (member === undefined) {
    throw new Error("a cluster of one has a member");
  }
  return member;
}

/** Starts a cluster of etcd members on free ports of 127.0.0.1 and resolves when all are healthy. */
export async function startEtcdCluster(size: number, options: EtcdOptions = {}): Promise<EtcdCluster> {
  if (size !== 1 && options.dataDir !== undefined) {
    throw new Error("members cannot share one dataDir");
  }
  const bin = options.bin ?? (await findOrInstall("etcd"));
  for (let attempt = 1; ; attempt++) {
    const cluster = await places(size, options.hosts ?? []);
    const members = await Promise.all(
      cluster.map(async (place) => {
        const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "metasrv-etcd-")));
        return new Member(bin, place, cluster, { ...options, dataDir }, options.dataDir === undefined);
      }),
    );
    try {
      await Promise.all(members.map((member) => member.start()));
      return {
        members,
        endpoints: members.map((member) => member.endpoint),
        leader: () => leaderOf(members),
        async [Symbol.asyncDispose]() {
          await Promise.all(members.map((member) => member[Symbol.asyncDispose]()));
        },
      };
    } catch (error) {
      await Promise.all(members.map((member) => member[Symbol.asyncDispose]()));
      if (!isPortTaken(error) || attempt === START_ATTEMPTS) {
        throw error;
      }
    }
  }
}

async function places(size: number, hosts: readonly Host[]): Promise<Place[]> {
  const ports = await freePorts(2 * size);
  return Array.from({ length: size }, (_, index) => ({
    name: `member-${index}`,
    host: hosts[index],
    address: hosts[index]?.address ?? "127.0.0.1",
    clientPort: ports[2 * index] ?? 0,
    peerPort: ports[2 * index + 1] ?? 0,
  }));
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && error.message.includes("address already in use");
}

class Member implements Etcd {
  readonly endpoint: string;
  readonly dataDir: string;

  readonly #bin: string;
  readonly #host: Host | undefined;
  readonly #args: readonly string[];
  readonly #removesData: boolean;
  readonly #tls: EtcdTlsFiles | undefined;
  #child: Child | undefined;

  constructor(
    bin: string,
    place: Place,
    cluster: readonly Place[],
    { dataDir, tls, extraArgs = [] }: EtcdOptions & { readonly dataDir: string },
    removesData: boolean,
  ) {
    const clientUrl = `${tls === undefined ? "http" : "https"}://${place.address}:${place.clientPort}`;
    const peerUrl = peerUrlOf(place);
    this.endpoint = `${place.address}:${place.clientPort}`;
    this.#host = place.host;
    this.#bin = bin;
    this.dataDir = dataDir;
    this.#removesData = removesData;
    this.#tls = tls;
    this.#args = [
      `--data-dir=${dataDir}`,
      `--name=${place.name}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=${cluster.map((other) => `${other.name}=${peerUrlOf(other)}`).join(",")}`,
      "--logger=zap",
      "--log-level=warn",
      ...(tls === undefined ? [] : [`--cert-file=${tls.cert}`, `--key-file=${tls.key}`]),
      ...(tls?.clientCa === undefined ? [] : ["--client-cert-auth", `--trusted-ca-file=${tls.clientCa}`]),
      ...extraArgs,
    ];
  }

  get pid(): number {
    return this.#started().pid;
  }

  async start(): Promise<void> {
    const child = await Child.start({ command: this.#bin, args: this.#args, env: environment(), host: this.#host });
    this.#child = child;
    const deadline = performance.now() + HEALTHY_WITHIN_MS;
    while (!(await isHealthy(this.endpoint, this.#tls))) {
      if (child.exit !== undefined) {
        throw new Error(`etcd ended with code ${child.exit.code}; ${child.tail}`);
      }
      if (performance.now() > deadline) {
        throw new Error(`etcd is not healthy yet; ${child.tail}`);
      }
      await sleep(20);
    }
  }

  async kill(signal?: NodeJS.Signals): Promise<void> {
    await this.#started().kill(signal);
  }

  async stop(): Promise<Exit> {
    return await this.#started().stop();
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.kill();
    if (this.#removesData) {
      await rm(this.dataDir, { recursive: true, force: true });
    }
  }

  #started(): Child {
    if (this.#child === undefined) {
      throw new Error("etcd was not started");
    }
    return this.#child;
  }
}

function peerUrlOf({ address, peerPort }: Place): string {
  return `http://${address}:${peerPort}`;
}

/** This process's environment without the variables that etcd would take for its own flags. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ETCD_")));
}

async function isHealthy(endpoint: string, tls: EtcdTlsFiles | undefined): Promise<boolean> {
  const pair = tls && { cert: await readFile(tls.cert), key: await readFile(tls.key), rejectUnauthorized: false };
  return await new Promise((resolve) => {
    const answered = (response: IncomingMessage) => {
      response.resume();
      response.once("end", () => {
        resolve(response.statusCode === 200);
      });
    };
    // Not fetch, whose pool keeps connections that a leak check would find.
    const options = { agent: false, timeout: 1_000 } as const;
    const request =
      pair === undefined
        ? get(`http://${endpoint}/health`, options, answered)
        : getByTls(`https://${endpoint}/health`, { ...options, ...pair }, answered);
    request.once("timeout", () => request.destroy());
    request.once("error", () => {
      resolve(false);
    });
    request.once("close", () => {
      resolve(false);
    });
  });
}
