import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { Cancellation, sleep } from "./cancellation.js";
import { EndpointRing } from "./endpoint-ring.js";
import { type Call, Failover } from "./failover.js";
import { EndpointFailure } from "./lock-channel.js";
import { InvalidArgumentError, UnavailableError } from "./meta-errors.js";
import { ScriptedChannel } from "./testing/scripted-channel.js";

const plan = { purpose: () => 'acquire lock "x"', scope: new Cancellation(), giveUp: { afterMs: 10_000 } };

function setUp(): { clock: ManualClock; failover: Failover; tried: string[]; trying: (failing: RegExp) => Attempt } {
  const clock = new ManualClock();
  const ring = new EndpointRing(["b", "c", "a"], {
    clock,
    random: () => 0.5,
    coolDown: { initialMs: 1_000, maxMs: 30_000 },
    shuffles: false,
    onMoved: () => undefined,
    createChannel: (endpoint) => new ScriptedChannel(endpoint, clock),
  });
  const backoff = { initialMs: 50, maxMs: 1_000 };
  const tried: string[] = [];
  const trying =
    (failing: RegExp): Attempt =>
    (channel) => {
      tried.push(channel.endpoint);
      if (!failing.test(channel.endpoint)) {
        return Promise.resolve(channel.endpoint);
      }
      return Promise.reject(new EndpointFailure(channel.endpoint, `${channel.endpoint} is down`, false));
    };
  return { clock, failover: new Failover({ clock, ring, backoff, deadPeerMs: 1_000 }), tried, trying };
}

type Attempt = Call<string>["attempt"];

describe("Failover", () => {
  test("stays with an endpoint until it fails", async () => {
    const { failover, tried, trying } = setUp();
    await failover.call({ ...plan, attempt: trying(/none/) });
    await failover.call({ ...plan, attempt: trying(/none/) });
    await failover.call({ ...plan, attempt: trying(/b/) });
    await failover.call({ ...plan, attempt: trying(/none/) });
    expect(tried).toEqual(["b", "b", "b", "c", "c"]);
  });

  test("moves on once when many calls fail at one endpoint together", async () => {
    const { failover, tried, trying } = setUp();
    await Promise.all([1, 2, 3].map(() => failover.call({ ...plan, attempt: trying(/b/) })));
    await failover.call({ ...plan, attempt: trying(/none/) });
    expect(tried).toEqual(["b", "b", "b", "c", "c", "c", "c"]);
  });

  test("pauses after each round, longer and longer, until an endpoint serves", async () => {
    const { clock, failover, tried, trying } = setUp();
    const pausedAtMs: number[] = [];
    let serving = false;
    const called = failover.call({
      ...plan,
      attempt: (channel, scope) => {
        if (pausedAtMs.at(-1) !== clock.now()) {
          pausedAtMs.push(clock.now());
        }
        return trying(serving ? /none/ : /./)(channel, scope);
      },
    });
    await clock.advance(5_000);
    serving = true;
    await clock.advance(1_000);
    await expect(called).resolves.toBe("b");
    expect(tried.slice(0, 6)).toEqual(["b", "c", "a", "b", "c", "a"]);
    // In 5 s with pauses of 1 s at most, there are more than 5 rounds, and far fewer than if pauses did not grow.
    expect(pausedAtMs.length).toBeGreaterThan(5);
    expect(pausedAtMs.length).toBeLessThan(40);
  });

  test("does not give up a request that one living server after the other keeps until it stops", async () => {
    const { clock, failover } = setUp();
    let attempts = 0;
    const called = failover.call({
      ...plan,
      attempt: async ({ endpoint }, scope) => {
        if (attempts++ === 10) {
          return endpoint;
        }
        await sleep(clock, 4_000, scope);
        throw new EndpointFailure(endpoint, "the server is about to stop", true, { heardAtMs: clock.now() });
      },
    });
    await clock.advance(60_000);
    await expect(called).resolves.toBe("c");
  });

  test("gives up a request that servers took which were not heard of again", async () => {
    const { clock, failover } = setUp();
    const called = failover
      .call({
        ...plan,
        attempt: async ({ endpoint }, scope) => {
          const heardAtMs = clock.now();
          await sleep(clock, 4_000, scope);
          throw new EndpointFailure(endpoint, "no sign of life", true, { heardAtMs });
        },
      })
      .catch((error: unknown) => error);
    await clock.advance(20_000);
    expect(await called).toBeInstanceOf(UnavailableError);
  });

  test("gives up when nothing served for the time of the plan, and names every endpoint's failure", async () => {
    const { clock, failover, trying } = setUp();
    const called = failover.call({ ...plan, attempt: trying(/./) }).catch((error: unknown) => error);
    await clock.advance(9_999);
    await expect(Promise.race([called, Promise.resolve("pending")])).resolves.toBe("pending");
    await clock.advance(1);
    const error = await called;
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({
      message:
        'Could not acquire lock "x": no endpoint served it for 10000 ms; ' +
        "tried b (b is down), c (c is down), a (a is down). " +
        "Check that metasrv runs at these endpoints and can reach its store.",
      endpoints: [
        { endpoint: "b", reason: "b is down" },
        { endpoint: "c", reason: "c is down" },
        { endpoint: "a", reason: "a is down" },
      ],
      cause: expect.any(EndpointFailure),
    });
    expect(clock.timers).toBe(0);
  });

  test("gives up after the rounds of the plan", async () => {
    const { clock, failover, tried, trying } = setUp();
    const called = failover
      .call({ ...plan, attempt: trying(/./), giveUp: { rounds: 2 } })
      .catch((error: unknown) => error);
    await clock.advance(1_000);
    expect(await called).toBeInstanceOf(UnavailableError);
    expect(tried).toHaveLength(6);
  });

  test("a long wait that breaks after another does not count as one long outage", async () => {
    const { clock, failover, tried } = setUp();
    const called = failover.call({
      ...plan,
      attempt: async (channel) => {
        tried.push(channel.endpoint);
        if (tried.length > 9) {
          return "granted";
        }
        await sleep(clock, 3_600_000, new Cancellation());
        throw new EndpointFailure(channel.endpoint, "connection lost", true);
      },
    });
    await clock.advance(10 * 3_600_000);
    await expect(called).resolves.toBe("granted");
  });

  test("limits an attempt to its time, then asks the next endpoint", async () => {
    const { clock, failover, tried } = setUp();
    const called = failover.call({
      ...plan,
      attempt: (channel, scope) => {
        tried.push(channel.endpoint);
        if (tried.length > 1) {
          return Promise.resolve("answered");
        }
        return new Promise((_, reject) => {
          scope.listen({ onCancel: reject });
        });
      },
      attemptTimeoutMs: () => 500,
    });
    await clock.advance(500);
    await expect(called).resolves.toBe("answered");
    expect(tried).toEqual(["b", "c"]);
    expect(clock.timers).toBe(0);
  });

  test("ends at once with an answer that no other endpoint would change", async () => {
    const { failover, tried } = setUp();
    const refusal = new InvalidArgumentError("bad name");
    const called = failover.call({
      ...plan,
      attempt: (channel) => {
        tried.push(channel.endpoint);
        return Promise.reject(refusal);
      },
    });
    await expect(called).rejects.toBe(refusal);
    expect(tried).toEqual(["b"]);
  });

  test("tells of each attempt that failed and is repeated", async () => {
    const { failover, trying } = setUp();
    const failed: string[] = [];
    const onFailure = ({ endpoint }: EndpointFailure): unknown => failed.push(endpoint);
    await failover.call({ ...plan, attempt: trying(/[bc]/), onFailure });
    expect(failed).toEqual(["b", "c"]);
  });

  test("ends at once with its scope, in an attempt and between them", async () => {
    const { clock, failover, trying } = setUp();
    const scope = new Cancellation();
    const called = failover.call({ ...plan, attempt: trying(/./), scope });
    await clock.advance(0);
    scope.cancel(new Error("enough"));
    await expect(called).rejects.toThrow("enough");
    expect(clock.timers).toBe(0);
  });
});
