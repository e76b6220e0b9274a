import { isMessage, type Message } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { LockRequestSchema as GreptimeLockRequestSchema } from "@metasrv/proto/greptime/v1/meta";
import { LockRequestSchema } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";

export interface RequestLogOptions {
  readonly logger: Logger;
  readonly clock: Clock;
}

/** A request that has ended. */
export interface EndedRequest {
  /** As service/method. */
  readonly method: string;
  /** Of a unary request, if it could be read. */
  readonly message: Message | undefined;
  /** Undefined if the request succeeded. */
  readonly error: ConnectError | undefined;
  readonly startedAtMs: number;
}

/** Writes one line a request, at debug. */
export class RequestLog {
  readonly #logger: Logger;
  readonly #clock: Clock;

  constructor({ logger, clock }: RequestLogOptions) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** The moment at which a request starts, in milliseconds. */
  start(): number {
    return this.#clock.now();
  }

  end({ method, message, error, startedAtMs }: EndedRequest): void {
    if (this.#logger.isLevelEnabled("debug")) {
      const lock = message && lockNameOf(message);
      const code = error === undefined ? "ok" : codeToString(error.code);
      this.#logger.debug({ method, lock, code, durationMs: this.#clock.now() - startedAtMs }, "request");
    }
  }
}

function lockNameOf(message: Message): string | undefined {
  if (isMessage(message, LockRequestSchema)) {
    const { lock } = message;
    return lock.case === "nameBytes" ? readable(lock.value) : lock.value;
  }
  return isMessage(message, GreptimeLockRequestSchema) ? readable(message.name) : undefined;
}

function readable(name: Uint8Array): string {
  return new TextDecoder().decode(name);
}
