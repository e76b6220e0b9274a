import { afterAll, describe, expect, test } from "@jest/globals";
import { startEtcd } from "./etcd.js";
import { leakCheck } from "./leak-check.js";
import { startMetasrv } from "./metasrv.js";

describe("startMetasrv", () => {
  test("starts the built server, reads its log, and stops it in order", async () => {
    await using metasrv = await startMetasrv();
    expect(metasrv.address).toMatch(/^127\.0\.0\.1:\d+$/u);
    const line = await metasrv.waitForLog(({ msg }) => msg === "listening");
    expect(line).toMatchObject({ address: metasrv.address });
    expect(await metasrv.stop()).toBe(0);
    expect(await metasrv.exited).toEqual({ code: 0, signal: null });
  });

  test("with etcd, which it is told of", async () => {
    await using etcd = await startEtcd();
    await using metasrv = await startMetasrv({ store: etcd.endpoint });
    await metasrv.kill();
    expect(await metasrv.exited).toEqual({ code: null, signal: "SIGKILL" });
    await expect(metasrv.waitForLog(() => false)).rejects.toThrow("metasrv ended (code null, signal SIGKILL)");
  });

  test("says what the server said when it does not start", async () => {
    await expect(startMetasrv({ args: ["--no-such-flag"] })).rejects.toThrow(/metasrv ended.*no-such-flag/su);
  });
});

afterAll(leakCheck());
