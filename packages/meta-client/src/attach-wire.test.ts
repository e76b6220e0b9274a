import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type HandlerContext } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import {
  ErrorDetailSchema,
  LockService,
  Reason,
  type SendRequest,
  SessionRequestSchema,
  type SessionResponse,
} from "@metasrv/proto/metasrv/v1";
import { ManualClock } from "@metasrv/wire/testing";
import { openAttachWire } from "./attach-wire.js";
import type { SessionWire } from "./session-wire.js";
import { Inbox } from "./testing/inbox.js";

const attachId = new Uint8Array(16).fill(7);

/** A Send as the server sees it, which the test answers. */
interface Sent {
  readonly request: SendRequest;
  readonly route: string | null;
  readonly signal: AbortSignal;
  answer(): void;
  fail(error: unknown): void;
}

type Response = { readonly draining: boolean } | Error | undefined;

/** A wire, and the server on its other side, which is the test. */
class Far {
  readonly clock = new ManualClock();
  readonly sent = new Inbox<Sent>();
  readonly messages = new Inbox<SessionResponse>();
  readonly closed = new Inbox<{ readonly error: ConnectError | undefined }>();
  drained = 0;
  /** Called when more can be written. */
  onDrained: () => void = () => undefined;
  readonly wire: SessionWire;
  attached: HandlerContext | undefined;
  readonly #outgoing: Response[] = [];
  #wake: () => void = () => undefined;

  constructor(refuse: { readonly messages?: Error; readonly id?: Uint8Array } = {}) {
    const transport = createRouterTransport((router) =>
      router.service(LockService, {
        attach: (_, context) => this.#attach(context, refuse.id ?? attachId),
        send: (request, { signal, requestHeader }) =>
          new Promise((resolve, reject) => {
            const route = requestHeader.get("metasrv-route");
            this.sent.push({
              request,
              route,
              signal,
              answer: () => {
                resolve({ $typeName: "metasrv.v1.SendResponse" });
              },
              fail: reject,
            });
          }),
      }),
    );
    this.wire = openAttachWire(
      transport,
      {
        message: (message) => {
          if (refuse.messages !== undefined) {
            throw refuse.messages;
          }
          this.messages.push(message);
        },
        drained: () => {
          this.drained++;
          this.onDrained();
        },
        closed: (error) => this.closed.push({ error }),
      },
      {
        ...{ clock: this.clock, sendTimeoutMs: 2_000, backoff: { initialMs: 100, maxMs: 100, random: () => 0.999 } },
        headers: () => Promise.resolve({}),
        mayAskAgain: () => false,
      },
    );
  }

  static async open(): Promise<Far> {
    const far = new Far();
    expect((await far.messages.next()).terms).toBeDefined();
    return far;
  }

  async *#attach(context: HandlerContext, id: Uint8Array) {
    this.attached = context;
    yield { attachId: id, response: { terms: { heartbeatMs: 1n, timeoutMs: 1n } } };
    for (;;) {
      const [next] = this.#outgoing;
      if (this.#outgoing.length === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      } else if (next instanceof Error) {
        throw next;
      } else if (next === undefined) {
        return;
      } else {
        this.#outgoing.shift();
        yield { response: next };
      }
    }
  }

  /** Sends a response; an error or undefined ends the stream. */
  respond(response: Response): void {
    this.#outgoing.push(response);
    this.#wake();
  }

  write(...numbers: number[]): void {
    expect(this.wire.writable).toBe(true);
    const commands = numbers.map((number) => ({ number, command: { case: "cancel" as const, value: 1 } }));
    this.wire.write(Buffer.from(toBinary(SessionRequestSchema, create(SessionRequestSchema, { commands }))));
  }

  async next(): Promise<Sent & { readonly text: string }> {
    const sent = await this.sent.next();
    return { ...sent, text: textOf(sent.request) };
  }
}

function textOf({ sequence, request, last }: SendRequest): string {
  const numbers = request?.commands.map(({ number }) => number).join(",") ?? "";
  return `${sequence}: ${numbers}${last ? "end" : ""}`;
}

function refusal(reason: Reason, code: Code): ConnectError {
  return new ConnectError("because", code, undefined, [{ desc: ErrorDetailSchema, value: { reason } }]);
}

/** What is not to happen has time to happen. */
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

describe("an attached wire", () => {
  test("takes nothing before the server has named the session", async () => {
    const far = new Far();
    expect(far.wire.writable).toBe(false);
    await far.messages.next();
    expect(far.wire.writable).toBe(true);
    far.respond({ draining: true });
    expect(await far.messages.next()).toMatchObject({ draining: true });
    far.wire.cancel();
  });

  test("has one Send under way, and says when there is room for the next", async () => {
    const far = await Far.open();
    far.write(1);
    expect(far.wire.writable).toBe(false);
    const first = await far.next();
    expect(first.text).toBe("1: 1");
    expect(first.request.attachId).toEqual(attachId);
    await quiet();
    expect(far.drained).toBe(0);
    far.onDrained = () => {
      far.write(2, 3);
    };
    first.answer();
    const second = await far.next();
    expect(second.text).toBe("2: 2,3");
    expect([first.route, second.route]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), first.route]);
    expect(far.attached?.requestHeader.get("metasrv-route")).toBe(first.route);
    far.wire.cancel();
  });

  test("repeats a Send with the same number while its answer is lost", async () => {
    const far = await Far.open();
    far.write(1);
    (await far.next()).fail(new ConnectError("bad gateway", Code.Unavailable));
    await quiet();
    await far.clock.advance(100);
    const second = await far.next();
    await far.clock.advance(2_000);
    expect(second.signal.aborted).toBe(true);
    await quiet();
    await far.clock.advance(100);
    const third = await far.next();
    expect([second.text, third.text]).toEqual(["1: 1", "1: 1"]);
    third.answer();
    await quiet();
    expect(far.drained).toBe(1);
    far.write(2);
    expect((await far.next()).text).toBe("2: 2");
    expect(far.closed.all).toEqual([]);
    far.wire.cancel();
  });

  test.each([
    [Reason.NOT_ATTACHED, Code.FailedPrecondition, Code.Unavailable],
    [Reason.OUT_OF_ORDER, Code.Aborted, Code.Unavailable],
    [Reason.INVALID_COMMAND, Code.InvalidArgument, Code.InvalidArgument],
    [Reason.SHUTTING_DOWN, Code.Unavailable, Code.Unavailable],
  ])("is over when the server refuses a Send: reason %i", async (reason, code, closedWith) => {
    const far = await Far.open();
    far.write(1);
    (await far.next()).fail(refusal(reason, code));
    expect(await far.closed.next()).toMatchObject({ error: { code: closedWith, rawMessage: "because" } });
    await quiet();
    expect(far.attached?.signal.aborted).toBe(true);
    expect(far.closed.all).toHaveLength(1);
  });

  test("is over when something on the way does not let a Send pass", async () => {
    const far = await Far.open();
    far.write(1);
    (await far.next()).fail(new ConnectError("forbidden", Code.PermissionDenied));
    expect(await far.closed.next()).toMatchObject({ error: { code: Code.PermissionDenied } });
  });

  test("ends with a Send of its own, after what is under way", async () => {
    const far = await Far.open();
    far.write(1);
    far.wire.end();
    const first = await far.next();
    await quiet();
    expect(far.sent.all).toHaveLength(1);
    first.answer();
    const last = await far.next();
    expect(last.text).toBe("2: end");
    last.answer();
    far.respond(undefined);
    expect(await far.closed.next()).toEqual({ error: undefined });
    expect(far.wire.writable).toBe(false);
  });

  test("ends at once when nothing is under way, and is over when the server has ended, whatever becomes of the answer", async () => {
    const far = await Far.open();
    far.wire.end();
    const last = await far.next();
    expect(last.text).toBe("1: end");
    far.respond(undefined);
    expect(await far.closed.next()).toEqual({ error: undefined });
    last.fail(refusal(Reason.NOT_ATTACHED, Code.FailedPrecondition));
    await quiet();
    expect(far.closed.all).toHaveLength(1);
  });

  test("is over with what the server ends the stream with, and repeats nothing after that", async () => {
    const far = await Far.open();
    far.write(1);
    const sent = await far.next();
    far.respond(refusal(Reason.SHUTTING_DOWN, Code.Unavailable));
    expect(await far.closed.next()).toMatchObject({ error: { code: Code.Unavailable } });
    await quiet();
    expect(sent.signal.aborted).toBe(true);
    await far.clock.advance(60_000);
    await quiet();
    expect(far.sent.all).toHaveLength(1);
    expect(far.clock.timers).toBe(0);
  });

  test("breaks off both calls when it is cancelled, and tells nobody", async () => {
    const far = await Far.open();
    far.write(1);
    const sent = await far.next();
    far.wire.cancel();
    await quiet();
    expect([sent.signal.aborted, far.attached?.signal.aborted]).toEqual([true, true]);
    expect([far.closed.all, far.drained]).toEqual([[], 0]);
    await far.clock.advance(60_000);
    expect(far.clock.timers).toBe(0);
  });

  test("cancelled while it pauses before a repeat, repeats nothing", async () => {
    const far = await Far.open();
    far.write(1);
    (await far.next()).fail(new ConnectError("bad gateway", Code.Unavailable));
    await quiet();
    far.wire.cancel();
    await far.clock.advance(60_000);
    await quiet();
    expect(far.sent.all).toHaveLength(1);
    expect(far.clock.timers).toBe(0);
  });

  test("is over with what a message could not be taken for", async () => {
    const far = new Far({ messages: new Error("not understood") });
    expect(await far.closed.next()).toMatchObject({ error: { rawMessage: "not understood" } });
  });

  test("is over when the server does not name the session", async () => {
    const far = new Far({ id: new Uint8Array() });
    expect(await far.closed.next()).toMatchObject({ error: { code: Code.Internal } });
  });
});
