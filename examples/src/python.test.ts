import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "@jest/globals";
import { Child, leakCheck, startEtcd, startMetasrv } from "@metasrv/testing";
import { findPython } from "./find-tools.js";

const script = fileURLToPath(new URL("../python/lock_example.py", import.meta.url));

/** Runs the example and reads its lines: when, in seconds, what. */
async function runExample(address: string): Promise<Map<string, number>> {
  const { command, env } = await findPython();
  const lines: string[] = [];
  const child = await Child.start({
    command,
    args: [script, address],
    env: { ...process.env, ...env, PYTHONDONTWRITEBYTECODE: "1" },
    onStdoutLine: (line) => {
      lines.push(line);
    },
  });
  const { code } = await child.exited;
  if (code !== 0) {
    throw new Error(`it ended with ${code}; ${child.tail}`);
  }
  return new Map(
    lines.map((line) => {
      const { seconds, what = line } = /^\[ *(?<seconds>\d+\.\d\d) s\] (?<what>.*)$/u.exec(line)?.groups ?? {};
      return [what, Number(seconds)];
    }),
  );
}

describe("lock_example.py, by gRPC and the original contract", () => {
  test.each(["memory", "etcd"])("with locks in %s", async (backend) => {
    await using etcd = backend === "etcd" ? await startEtcd() : undefined;
    await using metasrv = await startMetasrv(etcd === undefined ? {} : { store: etcd.endpoint });

    const lines = await runExample(metasrv.address);

    expect([...lines.keys()]).toEqual([
      "one: locked",
      "one: unlocked",
      "one: unlocked again, which is harmless",
      "first: locked",
      "second: asks, and waits",
      "first: unlocks",
      "second: locked",
      "second: unlocked",
      "slow: locked for 1 s, and works on",
      "next: locked",
      "slow: unlocks too late, which is harmless",
      "other: a deadline of 0.5 s is shorter than the wait: DEADLINE_EXCEEDED",
      "next: unlocked",
      "holder: locked for 2 s, and goes away without unlocking",
      "patient: locked, after a wait without a deadline",
      "done",
    ]);
    const between = (from: string, to: string) => (lines.get(to) ?? NaN) - (lines.get(from) ?? NaN);
    expect(between("first: unlocks", "second: locked")).toBeLessThan(1);
    expect(between("slow: locked for 1 s, and works on", "next: locked")).toBeLessThan(2);
    const [, holder = "", patient = ""] = [...lines.keys()].slice(-4);
    expect(between(holder, patient)).toBeLessThan(3);
  });
});

afterAll(leakCheck());
