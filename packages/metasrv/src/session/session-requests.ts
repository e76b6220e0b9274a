import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { LockService, type SessionCommand, type SessionEvent } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import { lockNameOf, showLockName } from "../model/ticket-ref.js";

const codeNames = new Map(
  Object.values(Code).flatMap((code) =>
    typeof code === "number" ? [[code as number, codeToString(code)] as const] : [],
  ),
);
const method = `${LockService.typeName}/Session`;

/** Writes one line for each request of a session when it was answered, as for calls, at debug. */
export class SessionRequests {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** By their numbers. */
  readonly #open = new Map<
    number,
    { readonly command: string; readonly lock?: string; readonly startedAtMs: number }
  >();

  constructor({ logger, clock }: { readonly logger: Logger; readonly clock: Clock }) {
    this.#logger = logger;
    this.#clock = clock;
  }

  asked({ number, command }: SessionCommand): void {
    if (command.case === "cancel") {
      this.#end(command.value, codeToString(Code.Canceled));
    } else if (command.case !== undefined) {
      const lock = command.case === "lock" ? nameOf(command.value.lock) : undefined;
      this.#open.set(number, {
        command: command.case,
        ...(lock !== undefined && { lock }),
        startedAtMs: this.#clock.now(),
      });
    }
  }

  answered(number: number, event: SessionEvent["event"]): void {
    // Failures are made of errors of this server, so their codes are Connect's.
    const code: number | undefined = event.case === "failed" ? event.value.code : undefined;
    this.#end(number, code === undefined ? "ok" : (codeNames.get(code) ?? String(code)));
  }

  /** The session is over: nothing is answered any more. */
  end(): void {
    for (const number of this.#open.keys()) {
      this.#end(number, codeToString(Code.Canceled));
    }
  }

  #end(number: number, code: string): void {
    const request = this.#open.get(number);
    if (request !== undefined) {
      this.#open.delete(number);
      const { startedAtMs, ...rest } = request;
      this.#logger.debug({ method, ...rest, code, durationMs: this.#clock.now() - startedAtMs }, "request");
    }
  }
}

function nameOf(lock: Extract<SessionCommand["command"], { case: "lock" }>["value"]["lock"]): string | undefined {
  switch (lock.case) {
    case "name":
      return lock.value;
    case "nameBytes":
      return showLockName(lockNameOf(lock.value));
    case undefined:
      return undefined;
  }
}
