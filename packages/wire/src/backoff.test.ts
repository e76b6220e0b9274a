import { describe, expect, test } from "@jest/globals";
import { Backoff } from "./backoff.js";

describe("pauses", () => {
  test("grow twofold up to the longest one", () => {
    const backoff = new Backoff({ initialMs: 100, maxMs: 500, random: () => 0.999_999 });
    const pauses = Array.from({ length: 5 }, () => Math.round(backoff.nextMs()));
    expect(pauses).toEqual([100, 200, 400, 500, 500]);
  });

  test("are drawn from the upper half below their bound", () => {
    const backoff = new Backoff({ initialMs: 100, maxMs: 100, random: () => 0 });
    expect(backoff.nextMs()).toBe(50);
    expect(backoff.boundMs).toBe(100);
  });

  test("are short again after a success", () => {
    const backoff = new Backoff({ initialMs: 100, maxMs: 500, random: () => 0 });
    backoff.nextMs();
    backoff.nextMs();
    backoff.reset();
    expect(backoff.nextMs()).toBe(50);
  });
});
