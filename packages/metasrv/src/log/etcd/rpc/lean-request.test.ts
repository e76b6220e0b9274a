import { AsyncResource } from "node:async_hooks";
import { describe, expect, test } from "@jest/globals";
import { leanRequest } from "./lean-request.js";

/* eslint-disable @typescript-eslint/unbound-method -- it is compared, and not called */

type Session = Parameters<typeof leanRequest>[0];

/** A session whose requests do this. */
function sessionThat(request: () => unknown): Session {
  return { request } as unknown as Session;
}

describe("a request", () => {
  test("binds functions without a property of their own while it is made, and leaves Node as it was", () => {
    const { bind } = AsyncResource.prototype;
    const resource = new AsyncResource("TEST");
    const bound = leanRequest(
      sessionThat(() => resource.bind((left: number, right: number) => left - right)),
      {},
    ) as unknown as (left: number, right: number) => number;
    expect(Object.getOwnPropertyNames(bound)).not.toContain("asyncResource");
    expect(bound(5, 3)).toBe(2);
    expect(AsyncResource.prototype.bind).toBe(bind);
  });

  test("leaves Node as it was also when it cannot be made", () => {
    const { bind } = AsyncResource.prototype;
    const session = sessionThat(() => {
      throw new Error("the session has been destroyed");
    });
    expect(() => leanRequest(session, {})).toThrow("the session has been destroyed");
    expect(AsyncResource.prototype.bind).toBe(bind);
  });
});
