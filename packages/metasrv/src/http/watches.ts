import type { ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { LockService } from "@metasrv/proto/metasrv/v1";
import type { Logger } from "pino";
import type { Connection } from "../api/caller.js";
import { useOf } from "../api/connection-use.js";
import { toConnectError } from "../api/rpc-errors.js";
import { LockError } from "../model/lock-errors.js";
import type { HttpResponse } from "./http-exchange.js";

/** Which part of all watches one connection may have. */
const shareOfConnection = 0.1;

/** Whether the answer to a call goes on for as long as its caller likes, as that of `Health.Watch`. Sessions have limits of their own. */
export function isWatch({ method, service }: UniversalHandler): boolean {
  return method.methodKind !== "unary" && service.typeName !== LockService.typeName;
}

/** Bounds how many watches there are. */
export class Watches {
  readonly #max: number;
  readonly #maxOfConnection: number;
  readonly #tooMany: ConnectError;
  readonly #tooManyOfConnection: ConnectError;
  #count = 0;

  constructor(max: number, logger: Logger) {
    this.#max = max;
    this.#maxOfConnection = Math.ceil(max * shareOfConnection);
    const refusal = (message: string) => toConnectError(new LockError("too-many-streams", message), logger);
    this.#tooMany = refusal(
      `this server has ${max} watches already, as many as it may; ask another server, or raise --max-watches`,
    );
    this.#tooManyOfConnection = refusal(
      `this connection has ${this.#maxOfConnection} watches already, as many as it may; end some, or use another connection`,
    );
  }

  /**
   * Counts a watch until its answer has ended.
   *
   * @param connection - undefined if it has broken
   * @returns why there is no room for it; nothing is counted then
   */
  enter(connection: Connection | undefined, response: HttpResponse): ConnectError | undefined {
    if (connection === undefined) {
      return undefined;
    }
    const use = useOf(connection);
    if (use.watches >= this.#maxOfConnection) {
      return this.#tooManyOfConnection;
    }
    if (this.#count >= this.#max) {
      return this.#tooMany;
    }
    this.#count++;
    use.watches++;
    response.once("close", () => {
      this.#count--;
      use.watches--;
    });
    return undefined;
  }
}
