import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type GrantSchema,
  LockMode,
  type LockRequest,
  type LockService,
  type SessionCommand,
  type SessionEventSchema,
  type SessionRequest,
  type SessionResponseSchema,
  type SessionTermsSchema,
} from "@metasrv/proto/metasrv/v1";
import { Inbox } from "./inbox.js";

type Event = NonNullable<MessageInitShape<typeof SessionEventSchema>["event"]>;

/** One session as a server sees it; the server is the test. */
export class ScriptedSession {
  /** The commands of each message, those of heartbeats left out. */
  readonly messages = new Inbox<SessionCommand[]>();
  /** How many messages without commands came. */
  heartbeats = 0;
  /** How the client's side ended: `true` when it was ended well, `false` when it broke. */
  readonly ended: Promise<boolean>;
  readonly #outgoing: MessageInitShape<typeof SessionResponseSchema>[] = [];
  #over: { readonly error: Error | undefined } | undefined;
  #wake: () => void = () => undefined;
  #end: (well: boolean) => void = () => undefined;

  constructor(terms: MessageInitShape<typeof SessionTermsSchema>, draining = false) {
    this.#outgoing.push({ terms, draining });
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /** The next message's commands. */
  next(): Promise<SessionCommand[]> {
    return this.messages.next();
  }

  /** The next message, which must be a single command of the given kind. */
  async nextOne<K extends NonNullable<SessionCommand["command"]["case"]>>(
    kind: K,
  ): Promise<{ number: number; value: Extract<SessionCommand["command"], { case: K }>["value"] }> {
    const [command, ...others] = await this.next();
    if (command?.command.case !== kind || others.length > 0) {
      throw new Error(`expected one ${kind}`);
    }
    return { number: command.number, value: command.command.value as never };
  }

  /** Sends one message with these events. */
  send(...events: [number: number, event: Event][]): void {
    this.#outgoing.push({ events: events.map(([number, event]) => ({ number, event })) });
    this.#wake();
  }

  /** Says that this server is about to stop. */
  drain(): void {
    this.#outgoing.push({ draining: true });
    this.#wake();
  }

  /** Ends the stream, with an error or well. */
  end(error?: Error): void {
    this.#over = { error };
    this.#wake();
  }

  async *run(
    requests: AsyncIterable<SessionRequest>,
    { signal }: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof SessionResponseSchema>> {
    void this.#read(requests, signal);
    for (;;) {
      const next = this.#outgoing.shift();
      if (next !== undefined) {
        yield next;
      } else if (this.#over?.error !== undefined) {
        throw this.#over.error;
      } else if (this.#over !== undefined) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }

  async #read(requests: AsyncIterable<SessionRequest>, signal: AbortSignal): Promise<void> {
    try {
      for await (const { commands } of requests) {
        if (commands.length > 0) {
          this.messages.push(commands);
        } else {
          this.heartbeats++;
        }
      }
      // Requests that were reset end well at first sight; only a moment later Node says what it was.
      await new Promise((resolve) => setImmediate(resolve));
      this.#end(!signal.aborted);
      if (!signal.aborted) {
        this.end();
      }
    } catch {
      // Nothing is answered: the adapter would report that nobody can hear it.
      this.#end(false);
    }
  }
}

/** A lock service with sessions, whose server is the test. */
export class ScriptedSessions {
  readonly opened = new Inbox<ScriptedSession>();
  /** Whether sessions begin with the news that this server is about to stop. */
  draining = false;
  readonly service: Partial<ServiceImpl<typeof LockService>>;

  /** @param terms - what each session begins with; by default, no heartbeat comes in the time of a test */
  constructor(terms: MessageInitShape<typeof SessionTermsSchema> = {}) {
    this.service = {
      session: (requests, context) => {
        const all = { heartbeatMs: 60_000n, timeoutMs: 180_000n, maxCommands: 1_000, ...terms };
        const session = new ScriptedSession(all, this.draining);
        this.opened.push(session);
        return session.run(requests, context);
      },
    };
  }
}

/** A grant for 10 s, at once, unless said otherwise. */
export function grantEvent(grant: MessageInitShape<typeof GrantSchema> = {}): Event {
  const value = { key: Uint8Array.of(7), token: 42n, ttlMs: 10_000n, waitedMs: 0, ...grant };
  return { case: "granted", value };
}

/** A request for a lock, with that ticket id. */
export function lockRequest(name: string, ticketId = new Uint8Array(16)): LockRequest {
  return {
    $typeName: "metasrv.v1.LockRequest",
    lock: { case: "name", value: name },
    ticketId,
    mode: LockMode.UNSPECIFIED,
    ttlMs: 0n,
    owner: "tester",
    attempt: 0,
    permits: 0,
    limit: 0,
    parts: [],
    labels: {},
    within: [],
    value: new Uint8Array(),
  };
}
