import type { LockState, SessionEvent } from "@metasrv/proto/metasrv/v1";

/**
 * How many events, and about how many bytes, go into one message, so that no message becomes too large for its reader, and a
 * client can ask for what is next while it still reads.
 */
const eventsPerMessage = 256;
const bytesPerMessage = 65_536;

/** The events of a session that wait for their client to read them, gathered into messages. */
export class SessionOutbox {
  readonly #messages: SessionEvent[][] = [];
  #lastBytes = 0;
  #size = 0;

  /** Number of events that wait. */
  get size(): number {
    return this.#size;
  }

  push(event: SessionEvent): void {
    const bytes = bytesOf(event);
    const last = this.#messages.at(-1);
    if (last === undefined || last.length === eventsPerMessage || this.#lastBytes + bytes > bytesPerMessage) {
      this.#messages.push([event]);
      this.#lastBytes = bytes;
    } else {
      last.push(event);
      this.#lastBytes += bytes;
    }
    this.#size++;
  }

  /** Takes out the events of one message; none if there are none. */
  take(): SessionEvent[] {
    const events = this.#messages.shift() ?? [];
    this.#size -= events.length;
    return events;
  }
}

const fixed = 64;
const perCharacter = 3;

/** At least as many bytes as the event takes. */
function bytesOf({ event }: SessionEvent): number {
  switch (event.case) {
    case "granted":
      return fixed + event.value.key.byteLength;
    case "refused":
      return fixed + bytesOfState(event.value.state);
    case "failed": {
      const { message, detail } = event.value;
      return fixed + perCharacter * message.length + bytesOfState(detail?.state);
    }
    default:
      return fixed;
  }
}

function bytesOfState(state: LockState | undefined): number {
  const owners = state === undefined ? [] : [state.holderOwner, ...state.holders.map(({ owner }) => owner)];
  return owners.reduce((sum, owner) => sum + fixed + perCharacter * owner.length, 0);
}
