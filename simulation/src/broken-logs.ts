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

/** A node that was a member once believes that it is one for ever. Nothing keeps it from telling a grant too late. */
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
        // The node does not hear of it.
      },
    });
  }
}

/** After its membership has ended, the node goes on as the new member with all its tickets, timers and grants. */
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
        // The next `extended` lets the node tell grants again. It has never given its tickets up.
        listener.extended(0);
      },
    });
  }
}

/** The leader removes a ticket right after it has taken it over, as if its TTL were over. */
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

/** When a TTL passes, the hold ends even if it was renewed at another node. */
export class ExpiryEndsAnyHold extends WrappedLog {
  override append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    const expires = command.kind === "remove" && command.cause === "expired";
    super.append(expires ? { ...command, cause: "released" } : command, waiter, urgency);
  }
}

/** Knows the fold that it fills. */
class SeeingLog extends WrappedLog {
  protected fold: Fold | undefined;

  override open(fold: LogFold, listener: LogListener): Promise<void> {
    this.fold = fold instanceof Fold ? fold : undefined;
    return super.open(fold, listener);
  }
}

/** An unlock removes the ticket of that id, whatever its token is. */
export class UnlockWithoutToken extends SeeingLog {
  override append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    const ticket = command.kind === "remove" ? this.fold?.get(command) : undefined;
    const isRelease = command.kind === "remove" && command.cause === "released";
    super.append(isRelease && ticket !== undefined ? { ...command, token: ticket.token } : command, waiter, urgency);
  }
}

/** A release by force is of the ticket that is the first to have the lock, whichever was named. */
export class ForcesTheFirst extends SeeingLog {
  override append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    const first = command.kind === "force" ? this.fold?.sharing(command.name) : undefined;
    super.append(
      command.kind === "force" && first !== undefined ? { ...command, token: first.floor } : command,
      waiter,
      urgency,
    );
  }
}

/** A ticket whose creation was given up is not removed when it is created after all. */
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

/** The TTL runs from the creation of the ticket, even while it waits. */
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

/** A try-lock is refused without a look at what was committed before it. */
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
