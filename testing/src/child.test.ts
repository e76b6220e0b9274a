import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "@jest/globals";
import { Child } from "./child.js";
import { leakCheck } from "./leak-check.js";
import { until } from "./until.js";

function start(script: string): Promise<Child> {
  return Child.start({ command: process.execPath, args: ["-e", script], env: {} });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("a child that does not heed SIGTERM is killed, and that is an error with its last words", async () => {
  const child = await start(
    "process.on('SIGTERM', () => console.error('no')); setInterval(() => {}, 1000); console.log('up')",
  );
  await until(() => child.tail.includes("up"), { what: "its handler" });
  await expect(child.stop(100)).rejects.toThrow(/did not end within 100 ms of SIGTERM; .*no/su);
  expect(child.exit).toEqual({ code: null, signal: "SIGKILL" });
  await child.kill();
});

// It is the parent-death signal of the kernel, set by setpriv, that ends the child; only Linux has one.
const testOnLinux = process.platform === "linux" ? test : test.skip;

testOnLinux("a child does not outlive the process that started it, however that ends", async () => {
  const module = fileURLToPath(new URL("../dist/index.js", import.meta.url));
  const script = `
    import { Child } from ${JSON.stringify(module)};
    const args = ["-e", "console.log(process.pid); setInterval(() => {}, 1000)"];
    await Child.start({ command: process.execPath, args, env: {}, onStdoutLine: (line) => console.log(line) });`;
  let pid = 0;
  const parent = await Child.start({
    command: process.execPath,
    args: ["--input-type=module", "-e", script],
    env: {},
    onStdoutLine: (line) => (pid = Number(line)),
  });
  await until(() => pid > 0, { what: "the pid of the child's child" });
  expect(isAlive(pid)).toBe(true);
  await parent.kill();
  await until(() => !isAlive(pid), { what: "it to be gone" });
});

afterAll(leakCheck());
