import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { recordingLogger } from "../../../test-support/log-stage.js";
import { DatabaseSize } from "./database-size.js";

const minuteMs = 60_000;

function stage() {
  const clock = new ManualClock();
  const { logger, lines } = recordingLogger();
  const etcd = { bytes: 0, answers: true, asked: 0 };
  const state = { leads: true };
  const size = new DatabaseSize({
    client: {
      databaseBytes: () => {
        etcd.asked++;
        return etcd.answers ? Promise.resolve(etcd.bytes) : Promise.reject(new Error("not now"));
      },
    },
    clock,
    logger,
    quotaBytes: 1_000,
    leads: () => state.leads,
    requestTimeoutMs: 1_000,
  });
  /** The warnings that are written in the next minute, when the database has so many bytes. */
  const warnings = async (bytes: number) => {
    const before = lines.length;
    etcd.bytes = bytes;
    await clock.advance(minuteMs);
    return lines.slice(before).filter(({ level }) => level === "warn");
  };
  return { clock, etcd, state, size, warnings };
}

describe("a database that grows", () => {
  test("is warned of from four fifths of its quota on, and again as it goes on growing", async () => {
    const { warnings } = stage();
    expect(await warnings(790)).toEqual([]);
    expect(await warnings(800)).toEqual([
      expect.objectContaining({ bytes: 800, quotaBytes: 1_000, hint: expect.stringContaining("compact") as unknown }),
    ]);
    expect(await warnings(840)).toEqual([]);
    expect(await warnings(860)).toHaveLength(1);
    expect(await warnings(861)).toEqual([]);
  });

  test("is warned of anew after it has shrunk", async () => {
    const { warnings } = stage();
    expect(await warnings(900)).toHaveLength(1);
    expect(await warnings(300)).toEqual([]);
    expect(await warnings(810)).toHaveLength(1);
  });

  test("is the leader's to warn of", async () => {
    const { state, etcd, warnings } = stage();
    state.leads = false;
    expect(await warnings(990)).toEqual([]);
    expect(etcd.asked).toBe(0);
    state.leads = true;
    expect(await warnings(990)).toHaveLength(1);
  });

  test("is asked for again a minute after etcd did not answer", async () => {
    const { etcd, warnings } = stage();
    etcd.answers = false;
    expect(await warnings(990)).toEqual([]);
    etcd.answers = true;
    expect(await warnings(990)).toHaveLength(1);
  });

  test("is not asked for any more once the log is closed", async () => {
    const { size, etcd, clock, warnings } = stage();
    size.close();
    expect(await warnings(990)).toEqual([]);
    expect(etcd.asked).toBe(0);
    expect(clock.timers).toBe(0);
  });
});
