import { afterAll, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { Child, leakCheck, startMetasrv } from "@metasrv/testing";

/** Forgets two handles, keeps one and its lock, and ends once the forgotten locks are lost. */
const program = `
import { MetaClient } from "@metasrv/meta-client";
const say = (what, ...more) => console.log(JSON.stringify([what, ...more]));
process.on("warning", ({ name, code, message }) => say(name, code, message));
const meta = new MetaClient({ endpoints: [process.argv[1]], discover: false });
const options = { ttlMs: 3_000 };
const forget = async (name) => void (await meta.lock(name, options));
const kept = await meta.lock("kept", options);
await meta.withLock("used", options, async (used) => {
  const collecting = setInterval(() => gc(), 100);
  let lost = 0;
  await new Promise((resolve) => {
    meta.on("lost", ({ names, reason }) => {
      say("lost", names, reason.message);
      if (++lost === 2) resolve();
    });
    void forget("one");
    void forget("other");
  });
  clearInterval(collecting);
  say("held", kept.held, used.held);
});
await kept.release();
await meta.close();
`;

test("a handle that is forgotten does not keep its lock for ever, and the process is told once", async () => {
  await using server = await startMetasrv();
  const lines: unknown[] = [];
  const child = await Child.start({
    command: process.execPath,
    args: ["--expose-gc", "--input-type=module", "--eval", program, server.url],
    env: process.env,
    onStdoutLine: (line) => lines.push(JSON.parse(line)),
  });
  expect(await child.exited).toMatchObject({ code: 0 });
  const [warning, ...others] = lines;
  const named = /^The handle of the lock "(?:one|other)" \(token \d+\) was garbage-collected without release\(\)\./;
  expect(warning).toEqual(["MetasrvWarning", "METASRV_FORGOTTEN_LOCK", expect.stringMatching(named)]);
  const why = expect.stringContaining("because its handle was garbage-collected without release()");
  expect(new Set(others)).toEqual(
    new Set([
      ["lost", ["one"], why],
      ["lost", ["other"], why],
      ["held", true, true],
    ]),
  );
  await using meta = new MetaClient({ endpoints: [server.url], discover: false });
  await (await meta.lock("one", { waitMs: 1_000 })).release();
});

afterAll(leakCheck());
