import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "@jest/globals";
import { Child, leakCheck } from "@metasrv/testing";

/** The built examples, as `npm run example several` runs one of them. */
const examples = fileURLToPath(new URL("../dist/example.js", import.meta.url));

const said: Record<string, readonly string[]> = {
  exclusive: [
    "1. Three processes write one order: one at a time, in the order of asking",
    "ann: writes",
    "bob: writes",
    "cid: writes",
    "2. A process that sleeps through the end of its lock: the order refuses what it writes",
    "slow: has the lock for 5 s, and does not renew it",
    "next: has the lock, and writes",
    "slow: writes too late, which is refused",
  ],
  shared: [
    "1. Two readers together, then a writer, then a reader that came after it",
    "ann: reads",
    "bob: reads, too",
    "the writer waits for both, and cid behind it",
    "ann: has read",
    "bob: has read",
    "the writer: writes",
    "the writer: lets others read, and reads on",
    "cid: reads",
    "2. The floor: all who share are taken, whoever held before them is refused",
    "the writer: writes",
    "bob: is taken",
    "ann: is taken",
    "late: is refused",
  ],
  semaphore: [
    "1. Five permits: two take 2 each, one waits for 3, and one behind it for 1",
    "ann and bob: have 2 permits each",
    "cid waits for 3, dot behind it, though 1 is left",
    "ann: gives 2 back",
    "cid: has 3 permits",
    "bob: gives 2 back",
    "dot: has 1 permit",
    "2. Twenty reports of five processes: never more than 5 at a time",
    "all are done, 5 at a time",
  ],
  several: [
    "1. Transfers between three accounts, in all directions at once",
    "240 transfers, and every account has what it had",
    "2. A request for two locks reserves the one that is free, and waits for the other",
    "ann: holds accounts/1",
    "bob: tries both, and gets none",
    "cid: waits for both, and reserves accounts/2",
    "dot: waits for accounts/2, behind cid",
    "ann: releases accounts/1",
    "cid: holds accounts/1 and accounts/2",
    "dot: has held accounts/2",
    "3. Each of them as it is needed: alone, shared, or as permits",
    "ann: holds catalogue, orders/42, reports",
  ],
  leader: [
    "1. Two candidates: the second leads when the first resigns, and its work has ended",
    "ann: leads",
    "ann: resigns",
    "ann: ends its work",
    "bob: leads",
    "others see that bob leads",
    "bob: ends its work",
    "others see that nobody leads",
    "2. A leader publishes where it is, and ends of its own accord",
    "others read http://ann.example:1",
    "others read http://ann.example:2",
    "ann: has returned, and is no candidate any more",
    "3. A term is taken by force: its signal aborts, and the candidate comes back for another one",
    "ann: leads",
    "ann: ends its work",
    "ann: leads again",
  ],
  inspection: [
    "1. A lock with its queue, and all locks of a prefix",
    "ann holds, for the job nightly",
    "bob waits at place 1",
    "all locks: orders/42 (1 holds, 1 waits)",
    "bob is blocked by ann",
    "2. Changes, as they come",
    "nobody holds an order",
    "orders/42 is held by ann",
    "orders/42 is free",
    "3. A lock is taken by force: its holder is told, and the next one holds",
    "operator: takes it from ann",
    "ann: is told by operator: the host is gone",
    "bob: holds it",
    "operator: tries the same token again, which is LOCK_LOST",
    "on record: orders/42 of ann, by operator: the host is gone",
    "4. Two processes that each hold what the other one asks for",
    "deadlock: ann waits for accounts/2, bob waits for accounts/1",
    "cid: asks for what it holds, which is an error at once",
  ],
};

test.each(Object.entries(said))("the example of %s keeps its promises, ten times as fast", async (name, expected) => {
  const lines: string[] = [];
  const child = await Child.start({
    command: process.execPath,
    args: [examples, name],
    env: { ...process.env, NODE_OPTIONS: "", EXAMPLE_TIME_SCALE: "10" },
    onStdoutLine: (line) => {
      lines.push(line.replace(/^\[ *\d+\.\d\d s\] /u, ""));
    },
  });
  const { code } = await child.exited;
  if (code !== 0) {
    throw new Error(`it ended with ${code}; ${child.tail}`);
  }
  const [, ...rest] = lines;
  expect(rest).toEqual([...expected, "Every promise was kept."]);
});

afterAll(leakCheck());
