import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { pino } from "pino";
import { Readiness } from "../api/readiness.js";
import { OpenSessions } from "./open-sessions.js";
import { sendAwayWhenUnready } from "./unready.js";

function setUp({ hasPeers = true } = {}) {
  const clock = new ManualClock();
  const problems: string[] = [];
  const sessions = new OpenSessions();
  const readiness = new Readiness({ clock, problems: () => problems });
  const told: string[] = [];
  const open = () => {
    const session = {
      drain: () => told.push("elsewhere"),
      break: (reason: Error) => {
        sessions.closed(session);
        told.push(reason.message);
      },
    };
    sessions.opened(session);
  };
  const logger = pino({ level: "silent" });
  const end = sendAwayWhenUnready({ readiness, sessions, hasPeers: () => hasPeers, clock, logger });
  /** Becomes ready and unready again. */
  const flap = async () => {
    problems.length = 0;
    await clock.advance(1_000);
    problems.push("etcd is away");
    await clock.advance(1_000);
  };
  return { clock, sessions, told, open, flap, end };
}

const away = ["elsewhere", "this server does not serve well now: etcd is away; ask another one"];

describe("a server that is not ready any more", () => {
  test("sends its clients away, and serves those that come all the same", async () => {
    const { clock, sessions, told, open, flap, end } = setUp();
    open();
    open();
    await clock.advance(60_000);
    expect(told).toEqual([]);
    await flap();
    expect(told).toEqual([...away, ...away]);
    open();
    await clock.advance(60_000);
    expect([told.length, sessions.size]).toEqual([4, 1]);
    end();
    expect(clock.timers).toBe(0);
  });

  test("does not do so over and over", async () => {
    const { clock, told, open, flap, end } = setUp();
    open();
    await flap();
    open();
    for (let second = 4; second <= 30; second += 2) {
      await flap();
    }
    expect(told).toEqual(away);
    await clock.advance(2_000);
    await flap();
    expect(told).toEqual([...away, ...away]);
    end();
  });

  test("keeps its clients when there is no other server", async () => {
    const { told, open, flap, end } = setUp({ hasPeers: false });
    open();
    await flap();
    expect(told).toEqual([]);
    end();
  });

  test("leaves them alone when it is about to stop, as they were told already", async () => {
    const { clock, sessions, told, open, flap, end } = setUp();
    open();
    const drained = sessions.drain(clock, 10_000);
    await flap();
    expect(told).toEqual(["elsewhere"]);
    end();
    await clock.advance(10_000);
    await drained;
  });
});
