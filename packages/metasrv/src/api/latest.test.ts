import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { LockError, shuttingDown } from "../model/lock-errors.js";
import { latest } from "./latest.js";

/** A number that the test changes. */
class Counter {
  value = 0;
  readonly watchers = new Set<() => void>();

  readonly changing = {
    read: () => this.value,
    watch: (changed: () => void) => {
      this.watchers.add(changed);
      return () => this.watchers.delete(changed);
    },
  };

  set(value: number): void {
    this.value = value;
    for (const watcher of this.watchers) {
      watcher();
    }
  }
}

describe("the latest of something that changes", () => {
  test("comes at once, and then after each change", async () => {
    const counter = new Counter();
    const values = latest(counter.changing, new AbortController().signal);
    expect((await values.next()).value).toBe(0);
    const next = values.next();
    await settled();
    counter.set(1);
    expect((await next).value).toBe(1);
  });

  test("is all that a slow reader gets", async () => {
    const counter = new Counter();
    const values = latest(counter.changing, new AbortController().signal);
    await values.next();
    counter.set(1);
    counter.set(2);
    counter.set(3);
    expect((await values.next()).value).toBe(3);
    const next = values.next();
    await settled();
    counter.set(4);
    expect((await next).value).toBe(4);
  });

  test("ends with the reason of the signal, and then watches nothing", async () => {
    const counter = new Counter();
    const shutdown = new AbortController();
    const values = latest(counter.changing, shutdown.signal);
    await values.next();
    const next = values.next();
    await settled();
    shutdown.abort(shuttingDown());
    await expect(next).rejects.toBeInstanceOf(LockError);
    expect(counter.watchers.size).toBe(0);
  });

  test("ends as canceled for a caller that is gone", async () => {
    const gone = AbortSignal.abort(new Error("socket hang up"));
    const values = latest(new Counter().changing, gone);
    await expect(values.next()).rejects.toEqual(new ConnectError("socket hang up", Code.Canceled));
  });

  test("watches nothing after its reader has left", async () => {
    const counter = new Counter();
    const values = latest(counter.changing, new AbortController().signal);
    await values.next();
    await values.return(undefined);
    expect(counter.watchers.size).toBe(0);
  });
});
