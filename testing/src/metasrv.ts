import { fileURLToPath } from "node:url";
import type { Exit } from "./child.js";
import { Child } from "./child.js";
import type { Host } from "./host.js";

/** One line of the server's JSON log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: unknown };

/** How to start a server. */
export interface MetasrvOptions {
  /** Flags of `metasrv start`. Without `--bind-addr` it listens on a free port of 127.0.0.1, or of its host. */
  readonly args?: readonly string[];
  /** Variables besides those of this process. `METASRV_*` of this process are not passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Endpoints of an etcd, as host:port, several separated by commas; absent: it keeps its locks in memory. */
  readonly store?: string;
  /** Path of the program; absent: the one that is built here. */
  readonly program?: string;
  /** Where it runs, on a free port of the host's address; absent: here. */
  readonly host?: Host | undefined;
}

/** A running server process. Disposing of it kills it. */
export interface Metasrv extends AsyncDisposable {
  /** Where it listens, as host:port. */
  readonly address: string;
  /** The same as a URL. */
  readonly url: string;
  readonly pid: number;
  /** What it has logged so far. Lines that are no JSON object are left out. */
  readonly logs: readonly LogLine[];
  /** The last lines of its output and error output, to be shown in an error. */
  readonly tail: string;
  /** Resolves when the process has ended. */
  readonly exited: Promise<Exit>;
  /**
   * Resolves with the first log line, past or coming, that the predicate accepts.
   *
   * @throws Error when the time (30,000 ms by default) is over, or the process ended.
   */
  waitForLog(predicate: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
  /** Sends a signal; for SIGKILL, the default, resolves when the process has ended. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it in order (SIGTERM) and resolves with its exit code. */
  stop(): Promise<number | null>;
}

const BIN = fileURLToPath(new URL("../../packages/metasrv/bin/metasrv.js", import.meta.url));

/** Starts the built server as a process of its own and resolves when it listens. */
export async function startMetasrv(options: MetasrvOptions = {}): Promise<Metasrv> {
  const args = ["start", ...(options.args ?? [])];
  if (!args.some((arg) => arg.startsWith("--bind-addr"))) {
    // Another host is a network namespace, whose address is no loopback.
    args.push("--bind-addr", `${options.host?.address ?? "127.0.0.1"}:0`, "--insecure-listen");
  }
  if (options.store !== undefined) {
    args.push("--store-addrs", options.store);
  }

  const log = new Log();
  const child = await Child.start({
    command: process.execPath,
    args: [options.program ?? BIN, ...args],
    env: { ...environment(), ...options.env },
    host: options.host,
    onStdoutLine: (line) => {
      log.add(line);
    },
  });
  const waitForLog = (predicate: (line: LogLine) => boolean, timeoutMs = 30_000): Promise<LogLine> =>
    log.first(predicate, timeoutMs, child);
  try {
    const { address } = await waitForLog(({ msg }) => msg === "listening");
    if (typeof address !== "string") {
      throw new Error(`metasrv did not log its address; ${child.tail}`);
    }
    return {
      address,
      url: `http://${address}`,
      pid: child.pid,
      get tail() {
        return child.tail;
      },
      logs: log.lines,
      exited: child.exited,
      waitForLog,
      kill: (signal) => child.kill(signal),
      stop: async () => (await child.stop()).code,
      [Symbol.asyncDispose]: () => child.kill(),
    };
  } catch (error) {
    await child.kill();
    throw error;
  }
}

/** This process's environment without variables that would configure the server, and without jest's flags for Node. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^METASRV_|^NODE_OPTIONS$/u.test(name)));
}

class Log {
  readonly lines: LogLine[] = [];
  readonly #watchers = new Set<(line: LogLine) => void>();

  add(text: string): void {
    const line = parse(text);
    if (line === undefined) {
      return;
    }
    this.lines.push(line);
    for (const watcher of [...this.#watchers]) {
      watcher(line);
    }
  }

  async first(predicate: (line: LogLine) => boolean, timeoutMs: number, child: Child): Promise<LogLine> {
    const past = this.lines.find(predicate);
    if (past !== undefined) {
      return past;
    }
    return await new Promise((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        outcome();
      };
      const fail = (why: string): void => {
        settle(() => {
          reject(new Error(`${why}; ${child.tail}`));
        });
      };
      const watcher = (line: LogLine): void => {
        if (predicate(line)) {
          settle(() => {
            resolve(line);
          });
        }
      };
      const timer = setTimeout(() => {
        fail(`metasrv did not log what was waited for within ${timeoutMs} ms`);
      }, timeoutMs);
      this.#watchers.add(watcher);
      void child.exited.then(({ code, signal }) => {
        fail(`metasrv ended (code ${code}, signal ${signal})`);
      });
    });
  }
}

function parse(text: string): LogLine | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === "object" && line !== null ? (line as LogLine) : undefined;
  } catch {
    return undefined;
  }
}
