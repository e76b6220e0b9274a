import { describe, expect, jest, test } from "@jest/globals";
import * as errors from "./meta-errors.js";

describe("an error of another copy of this package", () => {
  test("is an instance of the class with its code, and of no other", async () => {
    jest.resetModules();
    const other = (await import(`./meta-errors.js?copy=${Date.now()}`)) as typeof errors;
    const lost: unknown = new other.LockLostError("gone");
    expect(Object.getPrototypeOf(lost)).not.toBe(errors.LockLostError.prototype);
    expect(lost instanceof errors.LockLostError).toBe(true);
    expect(lost instanceof errors.MetaError).toBe(true);
    expect(lost instanceof errors.ClosedError).toBe(false);
    expect(new errors.LockLostError("gone") instanceof other.LockLostError).toBe(true);
  });
});

describe("instanceof", () => {
  test("tells errors of this package from all others", () => {
    const lost = new errors.LockLostError("gone");
    expect(lost instanceof errors.LockLostError).toBe(true);
    expect(lost instanceof errors.UnavailableError).toBe(false);
    for (const value of [undefined, null, 5, "LOCK_LOST", {}, { code: "LOCK_LOST" }, new Error("LOCK_LOST")]) {
      expect(value instanceof errors.LockLostError).toBe(false);
      expect(value instanceof errors.MetaError).toBe(false);
    }
  });

  test("knows the classes that users derive", () => {
    class Own extends errors.LockLostError {}
    expect(new Own("gone") instanceof Own).toBe(true);
    expect(new Own("gone") instanceof errors.LockLostError).toBe(true);
    expect(new errors.LockLostError("gone") instanceof Own).toBe(false);
  });
});
