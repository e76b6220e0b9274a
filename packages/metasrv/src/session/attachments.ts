import { randomBytes } from "node:crypto";
import type { SendRequest, SessionRequest } from "@metasrv/proto/metasrv/v1";
import type { Identity } from "../api/access.js";
import type { Limits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";
import type { ReadingGate } from "./reading-gate.js";
import type { Session } from "./session.js";

/** A session, as far as Send needs it. */
export type AttachedSession = Pick<Session, "receive" | "end" | "over">;

/** As many bytes as nobody can guess. */
const idBytes = 16;

/**
 * The sessions that Attach opened, by ids that only their clients know. It brings each of them what Send carries: in
 * order, and everything once.
 */
export class Attachments {
  readonly #limits: Pick<Limits, "maxAttached">;
  readonly #newId: () => Buffer;
  readonly #attached = new Map<string, Attachment>();

  constructor(limits: Pick<Limits, "maxAttached">, newId = () => randomBytes(idBytes)) {
    this.#limits = limits;
    this.#newId = newId;
  }

  /** How many there are. */
  get size(): number {
    return this.#attached.size;
  }

  /** @throws LockError `too-many-attached` when there is no room for one more */
  requireRoom(): void {
    const { maxAttached } = this.#limits;
    if (this.#attached.size >= maxAttached) {
      throw new LockError(
        "too-many-attached",
        `this server has ${maxAttached} attached sessions already, as many as it is configured to; ask another server, or ` +
          "raise the limit",
      );
    }
  }

  /**
   * Adds a session.
   *
   * @param gate - closed while the session takes nothing in
   * @param identity - who alone may send
   * @returns its id, and a function that takes it out again, harmless when repeated
   */
  add(
    session: AttachedSession,
    gate: ReadingGate,
    identity: Identity | undefined,
  ): { readonly id: Uint8Array; readonly remove: () => void } {
    const id = this.#newId();
    const name = id.toString("hex");
    this.#attached.set(name, new Attachment(session, gate, identity));
    return {
      id,
      remove: () => {
        this.#attached.delete(name);
      },
    };
  }

  /**
   * Takes a request in, unless it was taken in before. Resolves once the session may be sent more.
   *
   * @throws LockError `not-attached`, `out-of-order`, `invalid-command`
   */
  async send({ attachId, sequence, request, last }: SendRequest, identity: Identity | undefined): Promise<void> {
    if (attachId.length !== idBytes) {
      throw new LockError(
        "invalid-command",
        `the attach id has ${attachId.length} bytes, but it has ${idBytes} in the first response of Attach`,
      );
    }
    const attachment = this.#attached.get(Buffer.from(attachId).toString("hex"));
    if (attachment === undefined || attachment.over || attachment.identity?.principal !== identity?.principal) {
      throw new LockError(
        "not-attached",
        "this server has no session of that attach id: it is over, or a proxy brought this call to another server than " +
          "Attach; attach again, and ask for what is unanswered",
      );
    }
    await attachment.take(sequence, request, last);
  }
}

/** One attached session, and which numbers it has taken in: all below the next one. */
class Attachment {
  readonly #session: AttachedSession;
  readonly #gate: ReadingGate;
  readonly identity: Identity | undefined;
  #next = 1n;

  constructor(session: AttachedSession, gate: ReadingGate, identity: Identity | undefined) {
    this.#session = session;
    this.#gate = gate;
    this.identity = identity;
  }

  get over(): boolean {
    return this.#session.over !== undefined;
  }

  async take(sequence: bigint, request: SessionRequest | undefined, last: boolean): Promise<void> {
    if (sequence === 0n) {
      throw new LockError("invalid-command", "the sequence number is 0 or absent; give the first Send the number 1");
    }
    if (sequence > this.#next) {
      // To keep it until its turn comes would cost memory at a stranger's will.
      throw new LockError(
        "out-of-order",
        `the sequence number is ${sequence}, but ${this.#next} is the next; send that one first`,
      );
    }
    if (sequence === this.#next) {
      if (!this.#gate.isOpen) {
        throw new LockError(
          "out-of-order",
          `the sequence number is ${sequence}, but ${sequence - 1n} has no answer yet; wait for that, and read the stream`,
        );
      }
      this.#next++;
      this.#session.receive(request ?? noCommands);
      if (last) {
        this.#session.end();
      }
    }
    await this.#gate.opened;
  }
}

const noCommands: SessionRequest = { $typeName: "metasrv.v1.SessionRequest", commands: [] };
