import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "@jest/globals";
import { leakCheck } from "./leak-check.js";

test("names what was left open, and nothing else", async () => {
  const check = leakCheck(1_000);
  await check();
  const server = createServer().listen(0, "127.0.0.1");
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  await expect(check()).rejects.toThrow(
    /left open by this test file: .*(ProcessWrap.*TCPServerWrap|TCPServerWrap.*ProcessWrap)/u,
  );
  server.close();
  child.kill();
  await once(child, "exit");
  await check();
});
