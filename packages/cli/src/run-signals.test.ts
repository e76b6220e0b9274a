import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { leakCheck, type Metasrv, startMetasrv, startTcpProxy, until } from "@metasrv/testing";
import { isAlive, Metactl, metactl } from "../test-support/metactl.js";

const checkLeaks = leakCheck();
const timeoutMs = 60_000;

let server: Metasrv;

beforeAll(async () => {
  server = await startMetasrv();
});

// The child tells the ids of itself and of its own child, and of each signal that it gets.
const counting = `
trap 'echo got-INT' INT; trap 'echo got-TERM' TERM; trap 'echo got-USR1' USR1; trap 'echo got-HUP; exit 4' HUP
(trap '' USR1; exec sleep 300) &
echo "pids $$ $!"
while :; do wait; kill -0 $! 2>/dev/null || break; done
`;
const pids = /pids (\d+) (\d+)/;

const gone = async (...all: number[]) => {
  await until(() => !all.some(isAlive), { what: `${all.join(", ")} to be gone` });
};

describe("without a terminal", () => {
  test(
    "signals reach the child and its own children",
    async () => {
      const args = ["run", "--name", "forward", "--", "sh", "-c", counting];
      await using running = Metactl.start({ args, url: server.url });
      const [, child, grandchild] = await running.written(pids);
      running.kill("SIGUSR1");
      await running.written(/got-USR1/);
      running.kill("SIGHUP");
      const ended = await running.ended;
      expect(ended).toMatchObject({ code: 4 });
      expect(ended.stdout.match(/got-/g)).toHaveLength(2);
      await gone(Number(child), Number(grandchild));
    },
    timeoutMs,
  );

  test(
    "a signal that comes while the command is being started reaches it",
    async () => {
      for (let run = 0; run < 5; run++) {
        const args = ["run", "--name", "early", "--json", "--", "sleep", "300"];
        await using running = Metactl.start({ args, url: server.url });
        // The command is started right after this was said.
        await running.written(/"event":"granted"/, 2);
        running.kill("SIGTERM");
        expect(await running.ended).toMatchObject({ code: 143 });
      }
    },
    timeoutMs,
  );

  test.each(["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const)(
    "%s ends a wait, and nothing is left in the queue",
    async (signal) => {
      const name = `wait-${signal}`;
      await using holder = Metactl.start({ args: ["hold", name], url: server.url });
      await holder.written(/"token"/);
      const args = ["run", "--name", name, "--json", "--", "echo", "ran"];
      await using waiting = Metactl.start({ args, url: server.url });
      await waiting.written(/"event":"waiting","name":"wait-\w+","position":1,"waiters":1/, 2);
      waiting.kill(signal);
      const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGQUIT: 131 };
      expect(await waiting.ended).toMatchObject({ code: codes[signal], stdout: "" });
      const shown = await metactl({ args: ["show", name, "--json"], url: server.url });
      expect(JSON.parse(shown.stdout)).toMatchObject({ holderCount: 1, waiters: 0 });
    },
    timeoutMs,
  );

  test(
    "signals after the end of the child change nothing, also while metactl takes leave of a silent server",
    async () => {
      // The client cannot go around the proxy.
      await using own = await startMetasrv({ args: ["--server-addr", "127.0.0.1:9"] });
      await using proxy = await startTcpProxy({ target: own.address });
      // It leaves a process of its group in the background, which is not asked to end either.
      const leaving = 'sleep 300 </dev/null >/dev/null 2>&1 & echo "left <$!>"; read -r line; exit 3';
      const args = ["run", "--name", "leave", "--ttl", "2s", "--grace", "0s", "--json", "--", "sh", "-c", leaving];
      await using running = Metactl.start({ args, url: proxy.url });
      const [, left] = await running.written(/<(\d+)>/);
      try {
        proxy.pause("toTarget");
        proxy.pause("toClient");
        running.write("\n");
        await running.written(/"event":"exited","code":3/, 2);
        const signals = ["SIGTERM", "SIGINT", "SIGHUP", "SIGCONT"] as const;
        let sent = 0;
        const sending = setInterval(() => {
          running.kill(signals[sent++ % signals.length] ?? "SIGTERM");
        }, 10);
        const ended = await running.ended.finally(() => {
          clearInterval(sending);
        });
        expect(sent).toBeGreaterThan(signals.length);
        expect(ended).toMatchObject({ code: 3, signal: null });
        expect(isAlive(Number(left))).toBe(true);
      } finally {
        if (isAlive(Number(left))) {
          process.kill(Number(left), "SIGKILL");
        }
      }
    },
    timeoutMs,
  );

  test(
    "a stopped run stops its child, which goes on with it while the lock is held",
    async () => {
      const ticking = 'i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo "tick $i"; sleep 0.05; done';
      const args = ["run", "--name", "stop", "--", "sh", "-c", ticking];
      await using running = Metactl.start({ args, url: server.url });
      await running.written(/tick 3/);
      running.kill("SIGTSTP");
      let last = "";
      // Two looks without a new line between them.
      await until(() => last === (last = running.stdout), { what: "the child to stop", intervalMs: 500 });
      running.kill("SIGCONT");
      await until(() => running.stdout !== last, { what: "the child to go on" });
    },
    timeoutMs,
  );

  test(
    "a run that was stopped for longer than its lock lasted kills its child before it goes on",
    async () => {
      const args = [
        "run",
        "--name",
        "late",
        "--ttl",
        "1s",
        "--grace",
        "0s",
        "--",
        "sh",
        "-c",
        "echo up; sleep 300; echo ran on",
      ];
      await using running = Metactl.start({ args, url: server.url });
      await running.written(/up/);
      running.kill("SIGTSTP");
      // The next holder is there once the lock of the stopped run is over.
      expect(await metactl({ args: ["run", "--name", "late", "--", "true"], url: server.url })).toMatchObject({
        code: 0,
      });
      running.kill("SIGCONT");
      expect(await running.ended).toMatchObject({ code: 79, stdout: "up\n" });
    },
    timeoutMs,
  );
});

describe("at a terminal", () => {
  test(
    "^C reaches the child once, and metactl waits for it",
    async () => {
      const args = ["run", "--name", "tty", "--", "sh", "-c", counting];
      await using running = Metactl.startAtTerminal({ args, url: server.url });
      const [, child] = await running.written(pids);
      running.write("\x03");
      await running.written(/got-INT/);
      process.kill(Number(child), "SIGHUP");
      const ended = await running.ended;
      expect(ended.code).toBe(4);
      expect(ended.stdout.match(/got-INT/g)).toHaveLength(1);
    },
    timeoutMs,
  );

  test(
    "who waits sees its place, the holder and since when, in one line",
    async () => {
      await using holder = Metactl.start({ args: ["hold", "queue"], url: server.url });
      await holder.written(/"token"/);
      await using waiting = Metactl.startAtTerminal({
        args: ["run", "--name", "queue", "--", "true"],
        url: server.url,
      });
      await waiting.written(/1st of 1 for queue, held by \S+:\d+ for \d+s/);
      waiting.write("\x03");
      const ended = await waiting.ended;
      expect(ended.code).toBe(130);
      expect(ended.stdout.replaceAll("^C", "").endsWith("\r\x1b[K")).toBe(true);
    },
    timeoutMs,
  );
});

describe("the child is stopped", () => {
  const deaf = "trap '' TERM; (trap '' TERM; exec sleep 300) & echo \"pids $$ $!\"; while :; do wait; done";

  test(
    "by SIGKILL with all that it started, before another holds, if it does not heed SIGTERM",
    async () => {
      await using own = await startMetasrv();
      const args = ["run", "--name", "deaf", "--ttl", "2s", "--grace", "200ms", "--json", "--", "sh", "-c", deaf];
      await using running = Metactl.start({ args, url: own.url });
      const [, child, grandchild] = await running.written(pids);
      await own.kill();
      const ended = await running.ended;
      expect(ended.code).toBe(79);
      expect(ended.stderr).toContain('{"event":"exited","code":null,"signal":"SIGKILL","reason":"lost"}');
      expect([Number(child), Number(grandchild)].some(isAlive)).toBe(false);
    },
    timeoutMs,
  );

  test.each([
    ["without a terminal", (args: string[]) => Metactl.start({ args, url: server.url })],
    ["in a group of its own at a terminal", (args: string[]) => Metactl.startAtTerminal({ args, url: server.url })],
  ])(
    "before another holds when metactl is killed, %s",
    async (_where, start) => {
      // The guard knows the command by the time the command has the key. A kill before that would leave an orphan.
      const command = `read -r key <&3; echo "wrapper <$PPID>"; ${deaf}`;
      const lock = ["--name", "orphan", "--ttl", "5s", "--grace", "1s", "--group", "--key-fd", "3"];
      await using running = start(["run", ...lock, "--", "sh", "-c", command]);
      const [, wrapper = ""] = await running.written(/<(\d+)>/);
      const [, child, grandchild] = await running.written(pids);
      await using next = Metactl.start({ args: ["run", "--name", "orphan", "--", "echo", "held"], url: server.url });
      process.kill(Number(wrapper), "SIGKILL");
      await next.written(/held/);
      expect([Number(child), Number(grandchild)].some(isAlive)).toBe(false);
      expect((await next.ended).code).toBe(0);
    },
    timeoutMs,
  );
});

test(
  "a wait outlives its server if that comes back",
  async () => {
    const first = await startMetasrv();
    await using holder = Metactl.start({ args: ["hold", "back"], url: first.url });
    await holder.written(/"token"/);
    const args = ["run", "--name", "back", "--json", "--", "echo", "ran"];
    await using waiting = Metactl.start({ args, url: first.url });
    await waiting.written(/"event":"waiting"/, 2);
    await first.kill();
    await using second = await startMetasrv({ args: ["--bind-addr", first.address] });
    // It has its locks in memory, so the lock is free there.
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: "ran\n" });
    expect(second.address).toBe(first.address);
  },
  timeoutMs,
);

test(
  "a wait ends with 69 when its server is gone for good",
  async () => {
    const only = await startMetasrv();
    await using holder = Metactl.start({ args: ["hold", "gone"], url: only.url });
    await holder.written(/"token"/);
    await using waiting = Metactl.start({ args: ["run", "--name", "gone", "--json", "--", "true"], url: only.url });
    await waiting.written(/"event":"waiting"/, 2);
    await only.kill();
    expect(await waiting.ended).toMatchObject({ code: 69 });
  },
  timeoutMs,
);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await checkLeaks();
});
