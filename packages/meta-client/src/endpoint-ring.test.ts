import { describe, expect, test } from "@jest/globals";
import { EndpointRing } from "./endpoint-ring.js";
import { shuffled } from "./shuffle.js";
import { FakeClock } from "./testing/fake-clock.js";
import { ScriptedChannel } from "./testing/scripted-channel.js";

function setUp(): { clock: FakeClock; ring: EndpointRing; a: ScriptedChannel; b: ScriptedChannel; c: ScriptedChannel } {
  const clock = new FakeClock();
  const channels = ["a", "b", "c"].map((endpoint) => new ScriptedChannel(endpoint, clock));
  const [a, b, c] = channels as [ScriptedChannel, ScriptedChannel, ScriptedChannel];
  const options = { clock, random: () => 1, coolDown: { initialMs: 1_000, maxMs: 30_000 } };
  return { clock, ring: new EndpointRing(channels, options), a, b, c };
}

describe("EndpointRing", () => {
  test("uses the first until it fails, and then the next", () => {
    const { ring, a, b, c } = setUp();
    expect(ring.round()).toEqual([a, b, c]);
    ring.leave(a);
    expect(ring.current).toBe(b);
  });

  test("moves on once when many calls fail at one endpoint", () => {
    const { ring, a, b } = setUp();
    ring.leave(a);
    ring.leave(a);
    expect(ring.current).toBe(b);
  });

  test("does not return to an endpoint that failed before its cool-down has passed", async () => {
    const { clock, ring, a, b, c } = setUp();
    ring.leave(a);
    await clock.advance(999);
    ring.leave(b);
    expect(ring.round()).toEqual([c, a, b]);
    ring.leave(c);
    // All have failed: the one that is soonest well again.
    expect(ring.current).toBe(a);
  });

  test("returns to it afterwards", async () => {
    const { clock, ring, a, b, c } = setUp();
    ring.leave(a);
    await clock.advance(1_000);
    ring.leave(b);
    ring.leave(c);
    expect(ring.round()).toEqual([a, b, c]);
    expect(ring.after(a)).toEqual([b, c]);
  });

  test("of one endpoint stays with it", () => {
    const { clock } = setUp();
    const only = new ScriptedChannel("only", clock);
    const ring = new EndpointRing([only], {
      clock,
      random: () => 1,
      coolDown: { initialMs: 1_000, maxMs: 30_000 },
    });
    ring.leave(only);
    expect(ring.current).toBe(only);
    expect(ring.round()).toEqual([only]);
    expect(ring.after(only)).toEqual([]);
  });
});

test("shuffled puts things in any order with the same chance", () => {
  const counts = new Map<string, number>();
  let state = 1;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let round = 0; round < 6_000; round++) {
    const order = shuffled(["a", "b", "c"], random).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect([...counts.keys()].sort()).toEqual(["abc", "acb", "bac", "bca", "cab", "cba"]);
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});
