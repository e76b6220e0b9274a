import { describe, expect, test } from "@jest/globals";
import { Cancellation } from "./cancellation.js";

describe("Cancellation", () => {
  test("tells its listeners once, with the first reason", () => {
    const told: unknown[] = [];
    const cancellation = new Cancellation();
    cancellation.listen({ onCancel: (reason) => told.push(["one", reason]) });
    cancellation.listen({ onCancel: (reason) => told.push(["other", reason]) });
    cancellation.cancel("enough");
    cancellation.cancel("more than enough");
    expect(told).toEqual([
      ["one", "enough"],
      ["other", "enough"],
    ]);
    expect(cancellation.reason).toBe("enough");
  });

  test("does not tell those that do not listen any more, even while it tells the others", () => {
    const told: string[] = [];
    const cancellation = new Cancellation();
    const late = { onCancel: () => told.push("late") };
    const gone = { onCancel: () => told.push("gone") };
    cancellation.listen(gone);
    cancellation.listen({
      onCancel: () => {
        told.push("first");
        cancellation.unlisten(late);
      },
    });
    cancellation.listen(late);
    cancellation.unlisten(gone);
    cancellation.cancel("enough");
    expect(told).toEqual(["first"]);
  });

  test("throws its reason once it is cancelled", () => {
    const cancellation = new Cancellation();
    cancellation.throwIfCancelled();
    cancellation.cancel(new Error("enough"));
    expect(() => {
      cancellation.throwIfCancelled();
    }).toThrow("enough");
  });

  test.each([
    ["before", true],
    ["after", false],
  ])("has a signal that aborts with it, also when it is asked for %s", (_, early) => {
    const cancellation = new Cancellation();
    if (early) {
      expect(cancellation.signal.aborted).toBe(false);
    }
    cancellation.cancel("enough");
    expect(cancellation.signal.reason).toBe("enough");
    expect(cancellation.signal).toBe(cancellation.signal);
  });

  test("tells its listeners before those of its signal", () => {
    const told: string[] = [];
    const cancellation = new Cancellation();
    cancellation.signal.addEventListener("abort", () => told.push("signal"));
    cancellation.listen({ onCancel: () => told.push("listener") });
    cancellation.cancel("enough");
    expect(told).toEqual(["listener", "signal"]);
  });
});
