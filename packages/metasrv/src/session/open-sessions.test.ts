import { describe, expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { OpenSessions } from "./open-sessions.js";

/** This many open sessions, and how often each was told to move. */
function open(count: number) {
  const sessions = new OpenSessions();
  const told = Array.from({ length: count }, () => 0);
  const opened = told.map((_, index) => ({
    drain: () => {
      told[index] = (told[index] ?? 0) + 1;
    },
    break: () => undefined,
  }));
  for (const session of opened) {
    sessions.opened(session);
  }
  return { sessions, opened, told };
}

describe("draining", () => {
  test("tells every session, and is done when the last has ended", async () => {
    const clock = new ManualClock();
    const { sessions, opened, told } = open(2);
    let done = false;
    const drained = sessions.drain(clock, 1_000).then(() => (done = true));
    expect([sessions.draining, told]).toEqual([true, [1, 1]]);
    for (const session of opened) {
      await settled();
      expect(done).toBe(false);
      sessions.closed(session);
      sessions.closed(session);
    }
    await drained;
    expect([sessions.size, clock.timers, told]).toEqual([0, 0, [1, 1]]);
  });

  test("is done after the time that it is given", async () => {
    const clock = new ManualClock();
    const { sessions } = open(1);
    let done = false;
    const drained = sessions.drain(clock, 1_000).then(() => (done = true));
    await clock.advance(999);
    expect(done).toBe(false);
    await clock.advance(1);
    await drained;
  });

  test("is done at once when there is no session", async () => {
    const clock = new ManualClock();
    const { sessions } = open(0);
    await sessions.drain(clock, 1_000);
    expect([sessions.draining, clock.timers]).toEqual([true, 0]);
  });

  test("is a reason not to send clients here", async () => {
    const { sessions } = open(0);
    expect(sessions.problems()).toEqual([]);
    await sessions.drain(new ManualClock(), 1_000);
    expect(sessions.problems()).toEqual([expect.stringContaining("about to stop")]);
  });
});
