import type {
  CommandLog,
  CommandWaiter,
  LogFold,
  LogListener,
  MembershipListener,
  Urgency,
} from "../../packages/metasrv/src/log/command-log.js";
import type { Command } from "../../packages/metasrv/src/model/command.js";
import type { Member } from "../../packages/metasrv/src/model/member.js";

/** Does what the log below does, unless a subclass changes it. */
export class WrappedLog implements CommandLog {
  protected readonly below: CommandLog;

  constructor(below: CommandLog) {
    this.below = below;
  }

  open(fold: LogFold, listener: LogListener): Promise<void> {
    return this.below.open(fold, listener);
  }

  append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    this.below.append(command, waiter, urgency);
  }

  catchUp(): Promise<void> {
    return this.below.catchUp();
  }

  lag(): string | undefined {
    return this.below.lag();
  }

  join(member: Omit<Member, "level">, listener: MembershipListener): Promise<void> {
    return this.below.join(member, listener);
  }

  leave(): Promise<void> {
    return this.below.leave();
  }

  close(): Promise<void> {
    return this.below.close();
  }
}
