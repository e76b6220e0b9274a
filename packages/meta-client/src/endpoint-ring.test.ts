import { describe, expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { Circuit, EndpointRing, type EndpointRingOptions, shuffled } from "./endpoint-ring.js";
import type { LockChannel } from "./lock-channel.js";
import { ScriptedChannel } from "./testing/scripted-channel.js";

/** A ring of these endpoints. `channels` has their channels, and `drain` says that a server is about to stop. */
function setUp(
  endpoints: string[],
  options: Partial<EndpointRingOptions> = {},
): {
  clock: ManualClock;
  ring: EndpointRing;
  channels: ScriptedChannel[];
  drain: Map<string, () => void>;
} {
  const clock = new ManualClock();
  const channels: ScriptedChannel[] = [];
  const drain = new Map<string, () => void>();
  const ring = new EndpointRing(endpoints, {
    clock,
    random: () => 1,
    coolDown: { initialMs: 1_000, maxMs: 30_000 },
    shuffles: false,
    ...options,
    onMoved: () => undefined,
    createChannel: (endpoint, onDraining) => {
      const channel = new ScriptedChannel(endpoint, clock);
      channels.push(channel);
      drain.set(endpoint, onDraining);
      return channel;
    },
  });
  return { clock, ring, channels, drain };
}

const names = (channels: readonly LockChannel[]): string[] => channels.map(({ endpoint }) => endpoint);

describe("EndpointRing", () => {
  test("uses the first until it fails, and then the next", () => {
    const { ring } = setUp(["a", "b", "c"]);
    expect(names(ring.round())).toEqual(["a", "b", "c"]);
    ring.leave(ring.current);
    expect(ring.current.endpoint).toBe("b");
  });

  test("moves on once when many calls fail at one endpoint", () => {
    const { ring } = setUp(["a", "b", "c"]);
    const a = ring.current;
    ring.leave(a);
    ring.leave(a);
    expect(ring.current.endpoint).toBe("b");
  });

  test("does not return to an endpoint that failed before its cool-down has passed", async () => {
    const { clock, ring } = setUp(["a", "b", "c"]);
    ring.leave(ring.current);
    await clock.advance(999);
    ring.leave(ring.current);
    expect(names(ring.round())).toEqual(["c", "a", "b"]);
    ring.leave(ring.current);
    // All endpoints have failed. The one whose cool-down ends first comes first.
    expect(ring.current.endpoint).toBe("a");
  });

  test("returns to it afterwards", async () => {
    const { clock, ring } = setUp(["a", "b", "c"]);
    ring.leave(ring.current);
    await clock.advance(1_000);
    ring.leave(ring.current);
    ring.leave(ring.current);
    expect(names(ring.round())).toEqual(["a", "b", "c"]);
    expect(names(ring.after(ring.current))).toEqual(["b", "c"]);
  });

  test("of one endpoint stays with it", () => {
    const { ring, channels, drain } = setUp(["only"]);
    ring.leave(ring.current);
    drain.get("only")?.();
    expect(names(ring.round())).toEqual(["only"]);
    expect(ring.after(ring.current)).toEqual([]);
    expect(channels[0]?.left).toEqual([]);
  });

  test("leaves a server that is about to stop at once", () => {
    const { ring, channels, drain } = setUp(["a", "b"]);
    drain.get("a")?.();
    expect(ring.current.endpoint).toBe("b");
    expect(channels.map(({ left }) => left)).toEqual([["now"], []]);
  });
});

describe("EndpointRing that knows the members", () => {
  const shuffles = true;

  test("adds them, once, and comes to given endpoints that are none of them after all others", () => {
    const { ring } = setUp(["balancer", "a"], { shuffles, random: () => 0.99 });
    ring.setMembers(["a", "b", "c"]);
    expect(names(ring.round())).toEqual(["a", "b", "c", "balancer"]);
    // When the balancer fails, a member is used; when that fails, another member is.
    ring.leave(ring.current);
    expect(ring.current.endpoint).toBe("a");
    ring.leave(ring.current);
    expect(ring.current.endpoint).toBe("b");
  });

  test("keeps to the order of those given where that is asked for, and adds members at the end", () => {
    const { ring } = setUp(["balancer", "a"]);
    ring.setMembers(["b", "a"]);
    expect(names(ring.round())).toEqual(["balancer", "a", "b"]);
  });

  test("leaves and closes those that are gone, given ones never", async () => {
    const { ring, channels } = setUp(["a"]);
    ring.setMembers(["a", "b"]);
    ring.leave(ring.current);
    expect(ring.current.endpoint).toBe("b");
    ring.setMembers(["c"]);
    expect(ring.current.endpoint).toBe("c");
    await settled();
    expect(names(ring.round())).toEqual(["c", "a"]);
    const [a, b] = channels;
    expect([a?.left, a?.closed]).toEqual([[], false]);
    expect([b?.left, b?.closed]).toEqual([["now"], true]);
  });

  test("closes what it is still parting with when it is closed", async () => {
    const { ring, channels } = setUp(["a"]);
    ring.setMembers(["a", "b"]);
    const b = channels[1];
    if (b === undefined) {
      throw new Error("expected a channel");
    }
    b.leave = () => new Promise(() => undefined);
    ring.setMembers(["a"]);
    await ring.close(0);
    expect(b.closed).toBe(true);
  });

  test.each([
    [0, "a"],
    [0.34, "b"],
    [0.67, "c"],
  ])("goes to a random one of them: %d to %s", (random, expected) => {
    const { ring, channels } = setUp(["balancer", "a"], { shuffles: false, random: () => random });
    ring.setMembers(["a", "b", "c"]);
    ring.spread();
    expect(ring.current.endpoint).toBe(expected);
    expect(channels[0]?.left).toEqual(["at leisure"]);
  });

  test("stays where it is when that is the one", () => {
    const { ring, channels } = setUp(["a"], { random: () => 0 });
    ring.setMembers(["a", "b"]);
    ring.spread();
    expect(ring.current.endpoint).toBe("a");
    expect(channels[0]?.left).toEqual([]);
  });

  test("leaves a server that is about to stop as soon as there is another", () => {
    const { ring, channels, drain } = setUp(["a"]);
    drain.get("a")?.();
    expect(channels[0]?.left).toEqual([]);
    ring.setMembers(["a", "b"]);
    expect(ring.current.endpoint).toBe("b");
    expect(channels[0]?.left).toEqual(["now"]);
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
  for (const count of counts.values()) {
    expect(Math.abs(count - 1_000)).toBeLessThan(150);
  }
});

const coolDown = { initialMs: 1_000, maxMs: 8_000 };

describe("Circuit", () => {
  test("is closed at first, open after a failure, and closed again after the cool-down", async () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 1, coolDown });
    expect(circuit.openUntilMs).toBe(0);
    circuit.open();
    expect(circuit.openUntilMs).toBe(clock.now() + 1_000);
    await clock.advance(1_000);
    expect(circuit.openUntilMs).toBe(0);
  });

  test("has a cool-down that grows with failures in a row, up to its bound", async () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 1, coolDown });
    const coolDownsMs = [];
    for (let failure = 0; failure < 6; failure++) {
      circuit.open();
      coolDownsMs.push(circuit.openUntilMs - clock.now());
      await clock.advance(circuit.openUntilMs - clock.now());
    }
    expect(coolDownsMs).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  });

  test("counts failures while it is open once", async () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 1, coolDown });
    circuit.open();
    await clock.advance(500);
    circuit.open();
    await clock.advance(500);
    expect(circuit.openUntilMs).toBe(0);
    circuit.open();
    expect(circuit.openUntilMs).toBe(clock.now() + 2_000);
  });

  test("begins with the shortest cool-down again after a time without failures", async () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 1, coolDown });
    for (let failure = 0; failure < 4; failure++) {
      circuit.open();
      await clock.advance(circuit.openUntilMs - clock.now());
    }
    await clock.advance(8_001);
    circuit.open();
    expect(circuit.openUntilMs).toBe(clock.now() + 1_000);
  });

  test("has jitter: up to a half less", () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 0, coolDown });
    circuit.open();
    expect(circuit.openUntilMs).toBe(clock.now() + 500);
  });
});
