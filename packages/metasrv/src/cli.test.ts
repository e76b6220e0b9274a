import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "@jest/globals";
import { version } from "./version.js";

/** The command as users run it, so these tests need the package to be built. */
const bin = fileURLToPath(new URL("../bin/metasrv.js", import.meta.url));

const running = new Set<ChildProcess>();

afterEach(() => {
  for (const child of running) {
    child.kill("SIGKILL");
  }
});

function run(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [bin, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const exited = once(child, "close").then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { child, exited };
}

/** Runs a command that ends by itself. */
async function runToEnd(args: readonly string[], env: Record<string, string> = {}) {
  const { child, exited } = run(args, env);
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { stdout, stderr, code };
}

/** Runs a server and waits until it serves. */
async function runServer(args: readonly string[] = []) {
  const { child, exited } = run(["start", "--bind-addr", "127.0.0.1:0", ...args]);
  const lines: Record<string, unknown>[] = [];
  const address = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on("line", (line) => {
      const entry = JSON.parse(line) as Record<string, unknown>;
      lines.push(entry);
      if (entry.msg === "listening") {
        resolve(String(entry.address));
      }
    });
    void exited.then((code) => {
      reject(new Error(`exited with ${String(code)} before it served`));
    });
  });
  return { child, exited, address, lines };
}

describe("metasrv", () => {
  test("--version", async () => {
    expect(await runToEnd(["--version"])).toEqual({ stdout: `${version}\n`, stderr: "", code: 0 });
  });

  test("--help", async () => {
    const { stdout, code } = await runToEnd(["--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/start \[options\]/);
  });

  test("start --help names every option, its default and its variable", async () => {
    const { stdout, code } = await runToEnd(["start", "--help"]);
    expect(code).toBe(0);
    const help = stdout.replace(/\s+/g, " ");
    expect(help).toMatch(/--bind-addr <host:port>.*default: 127\.0\.0\.1:3002.*env: METASRV_BIND_ADDR/);
    expect(help).toMatch(/--member-ttl <duration>.*default: 10s.*env: METASRV_MEMBER_TTL/);
    expect(help).toMatch(/--waiter-grace-ms <n>.*default: 3000.*env: METASRV_WAITER_GRACE_MS/);
  });

  const misuses: [string[], Record<string, string>, RegExp][] = [
    [["start", "--nope"], {}, /unknown option '--nope'\nSee 'metasrv start --help'/],
    [["frobnicate"], {}, /unknown command 'frobnicate'\nSee 'metasrv --help'/],
    [["start", "now"], {}, /too many arguments/],
    [["start", "--bind-addr", "3002"], {}, /--bind-addr: expected host:port.*got "3002"/],
    [["start", "--store-addrs", "a:1,b"], {}, /--store-addrs: expected host:port.*got "b"/],
    [["start", "--backend", "redis"], {}, /Allowed choices are memory, etcd/],
    [["start", "--backend", "etcd"], {}, /--store-addrs: the backend etcd needs/],
    [["start", "--member-ttl", "10"], {}, /with its unit, such as 500ms, 30s, 5m or 1h/],
    [
      ["start", "--store-addrs", "a:1", "--member-ttl", "1500ms"],
      {},
      /--member-ttl: expected a whole number.*got 1\.5/,
    ],
    [["start", "--store-addrs", "a:1", "--store-connect-timeout", "0s"], {}, /--store-connect-timeout: expected/],
    [["start", "--max-tickets", "1e3"], {}, /Expected a whole number/],
    [["start", "--log-level", "loud"], {}, /Allowed choices are trace/],
    [["start"], { METASRV_MAX_TICKETS: "many" }, /value 'many' from env 'METASRV_MAX_TICKETS' is invalid/],
    [["start"], { METASRV_MAX_TICKETS: "0" }, /--max-tickets: expected a whole number from 1/],
  ];
  test.each(misuses)("%j with %j is refused", async (args, env, message) => {
    const { stdout, stderr, code } = await runToEnd(args, env);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/See 'metasrv.* --help'/);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("health says by its exit code whether a server serves, and what is wrong if it does not", async () => {
    const { child, exited, address } = await runServer();
    expect(await runToEnd(["health", "--url", `http://${address}/readyz`])).toEqual({
      stdout: "ready\n",
      stderr: "",
      code: 0,
    });
    expect(await runToEnd(["health"], { METASRV_HEALTH_URL: `http://${address}/healthz` })).toMatchObject({
      stdout: "ok\n",
      code: 0,
    });
    const lost = await runToEnd(["health", "--url", `http://${address}/nowhere`]);
    expect(lost).toMatchObject({ stdout: "", code: 1 });
    expect(lost.stderr).toContain(`http://${address}/nowhere answered 404`);
    child.kill("SIGTERM");
    await exited;
    const gone = await runToEnd(["health", "--url", `http://${address}/healthz`]);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toMatch(/^error: .* did not answer: connect ECONNREFUSED .*; is this the address/);
  });

  test("a port in use is one readable line", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { stderr, code } = await runToEnd(["start", "--bind-addr", `127.0.0.1:${port}`]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `error: cannot listen on 127.0.0.1:${port}: another process listens there; stop it, or choose another address or port\n`,
    );
    taken.close();
  });

  test("a store that cannot be reached is one readable line, after the timeout", async () => {
    const args = ["--bind-addr", "127.0.0.1:0", "--store-addrs", "127.0.0.1:1", "--store-connect-timeout", "300ms"];
    const { stderr, code } = await runToEnd(["start", ...args]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*\n$/);
  });
});

describe("metasrv start", () => {
  test("says where it listens and how long locks in memory live", async () => {
    const { address, lines } = await runServer();
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(lines.map(({ msg }) => msg)).toContainEqual(expect.stringMatching(/only as long as this process/));
    expect((await fetch(`http://${address}/`)).status).toBe(200);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s ends the waits and exits with 0", async (signal) => {
    const { child, exited, address } = await runServer();
    const lock = async (body: object) => {
      const headers = { "content-type": "application/json" };
      const init = { method: "POST", headers, body: JSON.stringify({ name: "a", ...body }) };
      const response = await fetch(`http://${address}/metasrv.v1.LockService/Lock`, init);
      return { status: response.status, body: (await response.json()) as object };
    };
    await lock({});
    const waiting = lock({});
    for (let waits = false; !waits;) {
      const refused = await lock({ waitMs: 0 });
      waits = JSON.stringify(refused.body).includes('"waiters":1');
    }
    const toldAt = performance.now();
    child.kill(signal);
    expect(await waiting).toMatchObject({ status: 503, body: { code: "unavailable" } });
    expect(await exited).toBe(0);
    expect(performance.now() - toldAt).toBeLessThan(5_000);
  });

  describe("while nobody reads its log", () => {
    const askNow = async (address: string, name: string) => {
      const response = await fetch(`http://${address}/metasrv.v1.LockService/Lock`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name, waitMs: 0 }),
      });
      await response.arrayBuffer();
    };

    /** Is too long a name, and so all that a request comes to is a line of the log. */
    const long = "a".repeat(30_000);

    /** Makes the server log this many lines, of some 30 kilobytes each. */
    const log = async (address: string, lines: number) => {
      for (let asked = 0; asked < lines; asked += 20) {
        await Promise.all(Array.from({ length: 20 }, () => askNow(address, long)));
      }
    };

    test("ends", async () => {
      const { child, exited, address } = await runServer(["--log-level", "debug"]);
      child.stdout.pause();
      // This is more than the pipe between the two can hold.
      await log(address, 20);
      const ended = once(child, "exit");
      child.kill();
      expect(await ended).toEqual([0, null]);
      child.stdout.resume();
      await exited;
    });

    test("keeps no more than a part of it, and logs again when it is read", async () => {
      const { child, address, lines } = await runServer(["--log-level", "debug"]);
      child.stdout.pause();
      // Of the 6 megabytes, 4 are kept, and the pipe has some.
      const sent = 200;
      await log(address, sent);
      child.stdout.resume();
      const seen = (name: string) => lines.filter(({ lock }) => lock === name).length;
      while (seen("read again") === 0) {
        await askNow(address, "read again");
      }
      expect(seen(long)).toBeGreaterThan(100);
      expect(seen(long)).toBeLessThan(sent);
    });
  });
});
