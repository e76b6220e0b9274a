import { expect, test } from "@jest/globals";
import { gatherByEventLoop } from "./gather.js";

test("what is urgent is done after the running callback, the rest after this turn of the event loop", async () => {
  const done: string[] = [];
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      gatherByEventLoop(() => {
        done.push("soon");
        resolve();
      }, false);
      gatherByEventLoop(() => done.push("urgent"), true);
      setImmediate(() => done.push("next turn"));
      done.push("callback");
    });
  });
  expect(done).toEqual(["callback", "urgent", "soon"]);
});
