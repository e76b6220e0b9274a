import type { Clock } from "@metasrv/wire";
import { Fold } from "../../packages/metasrv/src/fold/fold.js";
import type {
  CommandLog,
  CommandWaiter,
  LogFold,
  LogListener,
  MembershipListener,
  Urgency,
} from "../../packages/metasrv/src/log/command-log.js";
import type { Command, Outcome } from "../../packages/metasrv/src/model/command.js";
import type { Member } from "../../packages/metasrv/src/model/member.js";
import { WrappedLog } from "./wrapped-log.js";

/** The node believes to be a member for ever once it was one: nothing keeps it from telling a grant too late. */
export class NoLeaseGuard extends WrappedLog {
  override join(member: Omit<Member, "level">, listener: MembershipListener): Promise<void> {
    return super.join(member, {
      joined: (id) => {
        listener.joined(id);
      },
      extended: () => {
        listener.extended(Number.POSITIVE_INFINITY);
      },
      lost: () => {
        // Not heard of.
      },
    });
  }
}

/** After its membership has lapsed, the node goes on with all its tickets, timers and grants as the new member. */
export class SilentRejoin extends WrappedLog {
  override join(member: Omit<Member, "level">, listener: MembershipListener): Promise<void> {
    return super.join(member, {
      joined: (id) => {
        listener.joined(id);
      },
      extended: (aliveUntilMs) => {
        listener.extended(aliveUntilMs);
      },
      lost: () => {
        // The next `extended` lets it tell grants again, and it has never given its tickets up.
        listener.extended(0);
      },
    });
  }
}

/** The leader removes what it has just taken over from a member that is gone, as if nothing were left of the TTL. */
export class TakeoverWithoutTtl extends WrappedLog {
  override append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    const { below } = this;
    if (command.kind !== "adopt") {
      below.append(command, waiter, urgency);
      return;
    }
    below.append(
      command,
      after(waiter, ({ kind }) => {
        if (kind === "done") {
          below.append({ ...command, kind: "remove", cause: "expired", memberId: "" }, nobody, "soon");
        }
      }),
      urgency,
    );
  }
}

/** The leader removes the tickets of members that are gone, whether they hold or not. */
export class TakeoverThatPurges extends WrappedLog {
  override append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    super.append(
      command.kind === "adopt" ? { ...command, kind: "remove", cause: "abandoned" } : command,
      waiter,
      urgency,
    );
  }
}

/** The expiry of a hold that was renewed elsewhere ends it. */
export class ExpiryEndsAnyHold extends WrappedLog {
  override append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    const expires = command.kind === "remove" && command.cause === "expired";
    super.append(expires ? { ...command, cause: "released" } : command, waiter, urgency);
  }
}

/** An unlock removes whoever holds with the ticket's id, whatever its token. */
export class UnlockWithoutToken extends WrappedLog {
  #fold: LogFold | undefined;

  override open(fold: LogFold, listener: LogListener): Promise<void> {
    this.#fold = fold;
    return super.open(fold, listener);
  }

  override append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    const ticket = command.kind === "remove" && this.#fold instanceof Fold ? this.#fold.get(command) : undefined;
    const isRelease = command.kind === "remove" && command.cause === "released";
    super.append(isRelease && ticket !== undefined ? { ...command, token: ticket.token } : command, waiter, urgency);
  }
}

/** A ticket whose creation was given up is not removed when it turns up. */
export class GhostsStay extends WrappedLog {
  readonly #givenUp = new Set<string>();

  override append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    if (command.kind === "remove" && this.#givenUp.has(command.id)) {
      queueMicrotask(() => {
        waiter.settled({ kind: "done" });
      });
      return;
    }
    super.append(
      command,
      {
        ...bound(waiter),
        overdue: (error) => {
          if (command.kind === "create") {
            this.#givenUp.add(command.id);
          }
          waiter.overdue(error);
        },
      },
      urgency,
    );
  }
}

/** The TTL runs from the creation of the ticket on, while it waits too. */
export class TtlWhileWaiting extends WrappedLog {
  readonly #clock: Clock;

  constructor(below: CommandLog, clock: Clock) {
    super(below);
    this.#clock = clock;
  }

  override append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    super.append(
      command,
      after(waiter, (outcome) => {
        if (command.kind === "create" && "token" in outcome) {
          const { name, id, content } = command;
          const { token } = outcome;
          this.#clock.after(content.ttlMs, () => {
            super.append({ kind: "remove", name, id, token, cause: "expired", memberId: "" }, nobody, "soon");
          });
        }
      }),
      urgency,
    );
  }
}

/** What was committed before a try-lock is not looked at. */
export class HastyRefusals extends WrappedLog {
  override catchUp(): Promise<void> {
    return Promise.resolve();
  }
}

function after(waiter: CommandWaiter, settled: (outcome: Outcome) => void): CommandWaiter {
  return {
    ...bound(waiter),
    settled: (outcome) => {
      waiter.settled(outcome);
      settled(outcome);
    },
  };
}

function bound(waiter: CommandWaiter): CommandWaiter {
  return {
    settled: (outcome) => {
      waiter.settled(outcome);
    },
    failed: (error) => {
      waiter.failed(error);
    },
    overdue: (error) => {
      waiter.overdue(error);
    },
  };
}

const nobody: CommandWaiter = { settled: () => undefined, failed: () => undefined, overdue: () => undefined };
