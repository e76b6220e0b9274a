import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "@jest/globals";
import { Child, leakCheck } from "@metasrv/testing";

/** The built example, as `npm run example` runs it. */
const example = fileURLToPath(new URL("../dist/example.js", import.meta.url));

test("the example keeps its promises, ten times as fast", async () => {
  const lines: string[] = [];
  const child = await Child.start({
    command: process.execPath,
    args: [example],
    env: { ...process.env, NODE_OPTIONS: "", EXAMPLE_TIME_SCALE: "10" },
    onStdoutLine: (line) => {
      lines.push(line);
    },
  });
  const { code } = await child.exited;
  if (code !== 0) {
    throw new Error(`it ended with ${code}; ${child.tail}`);
  }

  const [first = "", ...rest] = lines.map(
    (line) => /^\[ *\d+\.\d\d s\] (?<what>.*)$/u.exec(line)?.groups?.what ?? line,
  );
  expect(first).toMatch(/^metasrv serves at /u);
  expect(rest).toEqual([
    "1. Lock for 60 s, work 3 s, unlock",
    "worker: locked",
    "worker: unlocked",
    "2. Two workers: the second gets the lock when the first unlocks",
    "first: locked",
    "second: asks, and waits",
    "first: unlocks",
    "second: locked",
    "3. A worker that locks for 5 s and works 20 s: the second gets the lock after 5 s",
    "slow: asks for 5 s",
    "slow: locked",
    "second: asks, and waits",
    "second: locked",
    "slow: unlocked 15 s too late, which succeeds and changes nothing",
    "third: asks, and waits",
    "second: unlocks",
    "third: locked",
    "Every promise was kept.",
  ]);
});

afterAll(leakCheck());
