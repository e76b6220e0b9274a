import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { ApiError } from "./api.js";
import { follow } from "./follow.js";
import { ScriptedStream } from "./testing/scripted-api.js";

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

const noTime = () => jest.advanceTimersByTimeAsync(0);

/** Follows scripted streams, and notes what is told. */
function following(silenceMs = Infinity) {
  const streams: ScriptedStream[] = [];
  const told: unknown[] = [];
  const pauses: number[] = [];
  const stop = new AbortController();
  const ended = follow<{ readonly n: number }>(
    (signal) => {
      const stream = new ScriptedStream("a/B", {}, signal);
      streams.push(stream);
      return stream.messages();
    },
    {
      begun: () => told.push("begun"),
      message: ({ n }) => told.push(n),
      broken: ({ code, message }) => told.push(`${code}: ${message}`),
    },
    {
      signal: stop.signal,
      silenceMs,
      pause: (broken) => {
        pauses.push(broken);
        return Promise.resolve();
      },
    },
  );
  const last = (): ScriptedStream => {
    const stream = streams.at(-1);
    if (stream === undefined) {
      throw new Error("no stream was opened");
    }
    return stream;
  };
  return { streams, told, pauses, stop, ended, last };
}

describe("a stream that is followed", () => {
  test("is opened again when it ends", async () => {
    const { told, last, streams } = following();
    last().say({ n: 1 });
    last().end();
    await noTime();
    last().say({ n: 2 });
    await noTime();
    expect(told).toEqual(["begun", 1, "unavailable: the server has ended the stream", "begun", 2]);
    expect(streams).toHaveLength(2);
  });

  test("is waited for longer, the more often it breaks without a word in between", async () => {
    const { pauses, last } = following();
    for (let times = 0; times < 3; times++) {
      last().fail(new ApiError("unavailable", "no"));
      await noTime();
    }
    last().say({ n: 1 });
    last().end();
    await noTime();
    expect(pauses).toEqual([1, 2, 3, 1]);
  });

  test("is given up when nothing is said for too long, and its call ends", async () => {
    const { told, streams, last } = following(6_000);
    await jest.advanceTimersByTimeAsync(5_000);
    last().say({ n: 1 });
    await jest.advanceTimersByTimeAsync(5_999);
    expect(streams).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(told).toEqual(["begun", 1, "unavailable: the server has said nothing for 6 s", "begun"]);
    // Also when it has never said anything.
    await jest.advanceTimersByTimeAsync(6_000);
    expect(streams.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
  });

  test("may be silent for ever where that says nothing", async () => {
    const { streams } = following(Infinity);
    await jest.advanceTimersByTimeAsync(86_400_000);
    expect(streams).toHaveLength(1);
    expect(jest.getTimerCount()).toBe(0);
  });

  test("tells of a fault of this page as what it is", async () => {
    const { told, last } = following();
    last().fail(new SyntaxError("Unexpected end of JSON input"));
    await noTime();
    expect(told.slice(0, 2)).toEqual(["begun", "internal: SyntaxError: Unexpected end of JSON input"]);
  });

  test("ends with the signal, leaves no timer, and is not told of as broken", async () => {
    const { told, stop, ended, streams } = following(6_000);
    stop.abort();
    await ended;
    expect(told).toEqual(["begun"]);
    expect(streams[0]?.signal.aborted).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });
});
