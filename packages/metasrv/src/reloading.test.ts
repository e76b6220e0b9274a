import { expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { pino } from "pino";
import { Reloading } from "./reloading.js";

test("the configuration is read every 30 s and when it is told to, one time after the other, until the end", async () => {
  const clock = new ManualClock();
  const logged: { msg: string }[] = [];
  const logger = pino({}, { write: (line: string) => logged.push(JSON.parse(line) as { msg: string }) });
  const reads: (() => void)[] = [];
  let fails = false;
  const reloading = new Reloading({
    clock,
    logger,
    reload: async () => {
      await new Promise<void>((resolve) => reads.push(resolve));
      if (fails) {
        throw new Error("the file is wrong");
      }
    },
  });
  const both = [reloading.now(), reloading.now()];
  await settled();
  expect(reads).toHaveLength(1);
  reads[0]?.();
  await both[0];
  await settled();
  expect(reads).toHaveLength(2);
  reads[1]?.();
  await both[1];
  expect(logged).toEqual([]);
  expect(reloading.warnings()).toEqual([]);

  fails = true;
  await clock.advance(30_000);
  reads[2]?.();
  await settled();
  expect(logged).toMatchObject([
    {
      msg: "the configuration was not read again: the one before stays in force",
      err: { message: "the file is wrong" },
    },
  ]);
  const warning = "the configuration was not read again, the one before stays in force: the log says why";
  expect(reloading.warnings()).toEqual([warning]);

  fails = false;
  const mended = reloading.now();
  await settled();
  reads[3]?.();
  await mended;
  expect(reloading.warnings()).toEqual([]);

  await clock.advance(30_000);
  expect(reads).toHaveLength(5);
  reloading.stop();
  reads[4]?.();
  await settled();
  expect(clock.timers).toBe(0);
});
