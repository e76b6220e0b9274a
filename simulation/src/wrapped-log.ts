import type {
  LogListener,
  Member,
  MembershipListener,
  OpResult,
  TicketLog,
  TicketOp,
} from "../../packages/metasrv/src/log/ticket-log.js";

/** A log that is the one below but for what a subclass changes. */
export class WrappedLog implements TicketLog {
  protected readonly below: TicketLog;

  constructor(below: TicketLog) {
    this.below = below;
  }

  open(listener: LogListener): Promise<void> {
    return this.below.open(listener);
  }

  append(op: TicketOp): Promise<OpResult> {
    return this.below.append(op);
  }

  lag(): string | undefined {
    return this.below.lag();
  }

  join(member: Member, listener: MembershipListener): Promise<void> {
    return this.below.join(member, listener);
  }

  leave(): Promise<void> {
    return this.below.leave();
  }

  close(): Promise<void> {
    return this.below.close();
  }
}
