import { expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { createElsewhere, nodeOfThree, orders, stored } from "../../test-support/node-fixture.js";
import { Recorder } from "../../test-support/recorder.js";
import type { ScriptedLog } from "../../test-support/scripted-log.js";
import { encodeLockKey } from "../model/ticket-ref.js";

/** An operator takes ticket `n` away at another member; it is not delivered yet. */
function forceElsewhere(log: ScriptedLog, n: number): void {
  const { token } = stored(log, n);
  log.elsewhere("n2", { kind: "force", name: orders, token, actor: "ops", reason: "stuck", unixMs: 1 });
}

test("a holder that gives back what was taken away by force is told of force, and so is its release", async () => {
  const node = await nodeOfThree();
  const { log } = node;
  const holder = await node.asked({ ticket: 1 });
  log.manual = true;
  forceElsewhere(log, 1);
  const released = expect(holder.claim.release()).rejects.toMatchObject({ reason: "forced" });
  log.take("remove").done();
  await released;
  expect(holder.told).toEqual(["granted", "lost: forced"]);
});

test("a waiter whose ticket came to hold and was taken away at the same time is not told of a grant", async () => {
  const node = await nodeOfThree();
  const { log } = node;
  const [holder, waiter] = [await node.asked({ ticket: 1 }), await node.asked({ ticket: 2 })];
  log.manual = true;
  const released = holder.claim.release();
  log.take("remove").commit();
  forceElsewhere(log, 2);
  log.deliver();
  await released;
  expect(waiter.told).toEqual(["failed: forced"]);
});

test("a request whose ticket was taken away before its outcome was known is told of force", async () => {
  const node = await nodeOfThree();
  const { log } = node;
  log.manual = true;
  const asked = node.ask({ ticket: 1 });
  const create = log.take("create").commit();
  const { token } = stored(log, 1);
  forceElsewhere(log, 1);
  log.relist();
  create.waiter.settled({ kind: "holds", token, moved: false });
  await settled();
  expect(asked.told).toEqual(["failed: forced"]);
});

test("who comes back with the key of a lock that is taken away at the same time is told of that", async () => {
  const { log, store } = await nodeOfThree();
  const { token } = createElsewhere(log, 1, "n3");
  log.deliver();
  log.manual = true;
  const { name, id } = { name: orders, id: [...log.written.tickets()][0]?.id };
  if (id === undefined) {
    throw new Error("the ticket is not there");
  }
  const after = new Recorder();
  const resumed = store.resume(encodeLockKey({ name, id, token }), {}, after);
  log.take("renew").commit();
  forceElsewhere(log, 1);
  log.deliver();
  await resumed;
  expect(after.told).toEqual(["lost: forced"]);
});
