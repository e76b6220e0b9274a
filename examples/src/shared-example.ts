// Shared locks: many readers or one writer, nobody overtaken, and a writer that goes on as a reader.
import { check, FencedRecord, type NewClient, onStage, say, untilWaiting } from "./stage.js";

async function readersAndAWriter(newClient: NewClient): Promise<void> {
  say("1. Two readers together, then a writer, then a reader that came after it");

  const lookout = newClient("lookout");
  const ann = await newClient("ann").lock("catalogue", { mode: "shared" });
  say("ann: reads");
  const bob = await newClient("bob").lock("catalogue", { mode: "shared" });
  say("bob: reads, too");

  const writing = newClient("writer").lock("catalogue");
  await untilWaiting(lookout, "catalogue", 1);
  const reading = newClient("cid").lock("catalogue", { mode: "shared" });
  await untilWaiting(lookout, "catalogue", 2);
  say("the writer waits for both, and cid behind it");

  await ann.release();
  say("ann: has read");
  await bob.release();
  say("bob: has read");
  const writer = await writing;
  say("the writer: writes");
  check(writer.floor > bob.token, "a writer had no higher floor than the readers before it");

  await writer.downgrade();
  const cid = await reading;
  say("the writer: lets others read, and reads on");
  say("cid: reads");
  check(cid.floor === writer.token, "the floor is not the token of the first that holds");
  await Promise.all([writer.release(), cid.release()]);
}

async function fence(newClient: NewClient): Promise<void> {
  say("2. The floor: all who share are taken, whoever held before them is refused");

  const catalogue = new FencedRecord("empty");
  const late = await newClient("late").lock("catalogue", { mode: "shared" });
  await late.release();
  await newClient("writer").withLock("catalogue", (lock) => {
    check(catalogue.write("full", lock.token, lock.floor), "the holder could not write");
    say("the writer: writes");
  });
  const ann = await newClient("ann").lock("catalogue", { mode: "shared" });
  const bob = await newClient("bob").lock("catalogue", { mode: "shared" });
  for (const [who, lock] of [
    ["bob", bob],
    ["ann", ann],
    ["late", late],
  ] as const) {
    say(`${who}: is ${catalogue.write(`seen by ${who}`, lock.token, lock.floor) ? "taken" : "refused"}`);
  }
  check(catalogue.value === "seen by ann", "the resource took an outdated holder, or refused a holder");
  await Promise.all([ann.release(), bob.release()]);
}

await onStage(readersAndAWriter, fence);
