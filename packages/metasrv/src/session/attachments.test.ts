import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import { type SendRequest, type SessionRequest, SessionRequestSchema } from "@metasrv/proto/metasrv/v1";
import { settled } from "@metasrv/wire/testing";
import type { Identity } from "../api/access.js";
import { LockError } from "../model/lock-errors.js";
import { type AttachedSession, Attachments } from "./attachments.js";
import { ReadingGate } from "./reading-gate.js";

/** A session that only notes what it is brought. */
class NotingSession implements AttachedSession {
  readonly taken: number[] = [];
  ended = 0;
  over: AttachedSession["over"];

  receive({ commands }: SessionRequest): void {
    this.taken.push(...commands.map(({ number }) => number));
  }

  end(): void {
    this.ended++;
  }
}

function attach(attachments = new Attachments({ maxAttached: 10 }), identity?: Identity) {
  const session = new NotingSession();
  const gate = new ReadingGate();
  const { id, remove } = attachments.add(session, gate, identity);
  const send = (sequence: number, change: Partial<SendRequest> = {}, sender = identity): Promise<void> =>
    attachments.send(
      {
        $typeName: "metasrv.v1.SendRequest",
        attachId: id,
        sequence: BigInt(sequence),
        request: create(SessionRequestSchema, { commands: [{ number: sequence }] }),
        last: false,
        ...change,
      },
      sender,
    );
  return { attachments, session, gate, id, remove, send };
}

/** What a call was refused with. */
async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof LockError ? error.reason : `no refusal: ${String(error)}`;
}

describe("numbers", () => {
  test("are taken in once each, in order, however often they come", async () => {
    const { session, send } = attach();
    await send(1);
    await Promise.all([send(1), send(2), send(2)]);
    await send(1);
    expect(session.taken).toEqual([1, 2]);
  });

  test("that leave a gap are refused without effect, and are welcome when their turn has come", async () => {
    const { session, send } = attach();
    expect(await refusal(send(2))).toBe("out-of-order");
    expect(await refusal(send(Number.MAX_SAFE_INTEGER))).toBe("out-of-order");
    await send(1);
    await send(2);
    expect(session.taken).toEqual([1, 2]);
  });

  test("begin with 1", async () => {
    expect(await refusal(attach().send(0))).toBe("invalid-command");
  });

  test("without a request are signs of life", async () => {
    const { session, send } = attach();
    await send(1, { request: undefined });
    await send(2);
    expect(session.taken).toEqual([2]);
  });
});

test("the last one ends the requests, once", async () => {
  const { session, send } = attach();
  await send(1, { last: true });
  await send(1, { last: true });
  expect(session).toMatchObject({ taken: [1], ended: 1 });
});

test("ids that name no session are refused", async () => {
  const { send, id, session, remove } = attach();
  expect(await refusal(send(1, { attachId: new Uint8Array(16) }))).toBe("not-attached");
  expect(await refusal(send(1, { attachId: new Uint8Array() }))).toBe("invalid-command");
  expect(await refusal(send(1, { attachId: Buffer.concat([id, id]) }))).toBe("invalid-command");
  session.over = { error: undefined };
  expect(await refusal(send(1))).toBe("not-attached");
  session.over = undefined;
  remove();
  remove();
  expect(await refusal(send(1))).toBe("not-attached");
  expect(session.taken).toEqual([]);
});

test("ids are as long as nobody can guess, and never the same", () => {
  const attachments = new Attachments({ maxAttached: 1_000 });
  const ids = Array.from({ length: 1_000 }, () => Buffer.from(attach(attachments).id).toString("hex"));
  expect(new Set(ids).size).toBe(1_000);
  expect(new Set(ids.map((id) => id.length))).toEqual(new Set([32]));
});

test("each session has numbers of its own", async () => {
  const attachments = new Attachments({ maxAttached: 10 });
  const [one, two] = [attach(attachments), attach(attachments)];
  await one.send(1);
  await one.send(2);
  await two.send(1);
  expect([one.session.taken, two.session.taken]).toEqual([[1, 2], [1]]);
});

test("while the session takes nothing in, an answer waits, and nothing more is taken", async () => {
  const { session, gate, send } = attach();
  session.receive = ({ commands }) => {
    session.taken.push(...commands.map(({ number }) => number));
    gate.set(false);
  };
  const answered: number[] = [];
  const sends = [send(1), send(1)].map((call) => call.then(() => answered.push(1)));
  await settled();
  expect(answered).toEqual([]);
  expect(await refusal(send(2))).toBe("out-of-order");
  gate.set(true);
  await Promise.all(sends);
  expect(session.taken).toEqual([1]);
  const second = send(2);
  gate.set(true);
  await second;
  expect(session.taken).toEqual([1, 2]);
});

test("there are no more than the limit allows", () => {
  const attachments = new Attachments({ maxAttached: 1 });
  attachments.requireRoom();
  const { remove } = attach(attachments);
  expect(() => {
    attachments.requireRoom();
  }).toThrow(expect.objectContaining({ reason: "too-many-attached" }));
  remove();
  attachments.requireRoom();
  expect(attachments.size).toBe(0);
});

test("nobody sends for another principal, even with its attach id", async () => {
  const { session, send } = attach(undefined, { principal: "billing", isValid: true });
  expect(await refusal(send(1, {}, { principal: "stock", isValid: true }))).toBe("not-attached");
  await send(1);
  expect(session.taken).toEqual([1]);
});
