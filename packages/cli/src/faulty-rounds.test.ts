import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "@jest/globals";
import { leakCheck, type Metasrv, startMetasrv, startTcpProxy } from "@metasrv/testing";
import { Metactl } from "../test-support/metactl.js";

const rounds = Number(process.env.METACTL_ROUNDS ?? 24);
const lanes = 6;
const perRoundMs = 10_000;

// A child holds a lock of the kernel on the lane's file, and so does its own child. It ends with the last of them, so whoever
// comes next finds out whether anybody of the round before is left. SIGTERM does nothing in some rounds.
const child = `
exec 9>>"$LANE.lock"
flock -n 9 || echo "overlap $METASRV_LOCK_TOKEN" >>"$LANE.log"
[ "$DEAF" = 1 ] && trap '' TERM
echo "start $METASRV_LOCK_TOKEN" >>"$LANE.log"
echo started
sleep "$SECONDS_OF_WORK" &
wait
[ "$DEAF" = 1 ] && wait
echo "end $METASRV_LOCK_TOKEN" >>"$LANE.log"
`;

const faults = ["none", "none", "kill", "kill", "cut", "silence", "term"] as const;

interface Lane {
  readonly name: string;
  readonly metasrv: Metasrv;
  readonly rounds: number;
  /** How often each fault had which end. */
  readonly tally: Map<string, number>;
  /** What is to be disposed of at the end. */
  readonly started: AsyncDisposable[];
}

/** One holder after the other. While it holds, the next one comes and waits. */
async function runLane({ name, metasrv, rounds, tally, started }: Lane): Promise<void> {
  const start = async () => {
    const fault = faults[Math.floor(Math.random() * faults.length)] ?? "none";
    const proxy = await startTcpProxy({ target: metasrv.address });
    const metactl = Metactl.start({
      // Three times the longest work without a fault, so that a lock without one is not lost on a busy machine either.
      args: ["run", "--name", name, "--ttl", "3s", "--grace", "200ms", "--", "sh", "-c", child],
      url: proxy.url,
      env: {
        LANE: name,
        DEAF: Math.random() < 0.3 ? "1" : "0",
        SECONDS_OF_WORK: fault === "none" ? String(Math.random()) : "60",
      },
    });
    started.push(metactl, proxy);
    return { fault, proxy, metactl };
  };
  let current = await start();
  for (let at = 0; at < rounds; at++) {
    const { fault, proxy, metactl } = current;
    await metactl.written(/started/);
    current = await start();
    await sleep(Math.random() * 500);
    switch (fault) {
      case "kill":
        metactl.kill("SIGKILL");
        break;
      case "cut":
        proxy.refuse();
        proxy.cut();
        break;
      case "silence":
        proxy.pause("toTarget");
        proxy.pause("toClient");
        break;
      case "term":
        metactl.kill("SIGTERM");
        // Who is deaf to it ends when its lock is lost.
        proxy.refuse();
        proxy.cut();
        break;
      case "none":
        break;
    }
    const { code, signal } = await metactl.ended;
    const end = `${fault}: ${signal ?? code}`;
    tally.set(end, (tally.get(end) ?? 0) + 1);
    await proxy[Symbol.asyncDispose]();
  }
}

test(
  `in ${rounds} faulty rounds, the child of a holder and all that it started are dead before the next child starts`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "metactl-rounds-"));
    const tally = new Map<string, number>();
    const started: AsyncDisposable[] = [];
    try {
      // No client can go around its proxy.
      await using metasrv = await startMetasrv({ args: ["--server-addr", "127.0.0.1:9"] });
      const names = Array.from({ length: lanes }, (_, at) => join(folder, `lane-${at}`));
      const perLane = Math.ceil(rounds / lanes);
      await Promise.all(names.map((name) => runLane({ name, metasrv, rounds: perLane, tally, started })));
      const logs = await Promise.all(names.map((lane) => readFile(`${lane}.log`, "utf8")));
      const lines = logs.join("").split("\n");
      expect(lines.filter((line) => line.startsWith("start")).length).toBeGreaterThanOrEqual(rounds);
      expect(lines.filter((line) => line.startsWith("overlap"))).toEqual([]);
      const ends = ["none: 0", "kill: SIGKILL", "cut: 79", "silence: 79", "term: 79", "term: 143"];
      expect(ends).toEqual(expect.arrayContaining([...tally.keys()]));
    } finally {
      if (process.env.METACTL_ROUNDS !== undefined) {
        process.stderr.write(`${[...tally].map(([what, times]) => `${what} ${times}`).join("; ")}\n`);
      }
      for (const one of started) {
        await one[Symbol.asyncDispose]();
      }
      await rm(folder, { recursive: true });
    }
  },
  60_000 + (rounds * perRoundMs) / lanes,
);

afterAll(leakCheck());
