import { type ContenderId, contenders, type Seat } from "../peers/contenders.js";
import type { Arena } from "../servers/arena.js";
import type { Context } from "./workload.js";

/** Everything but Redis and h2load must be there. These must be there, too, if the user names them. */
export async function seatOf(id: ContenderId, arena: Arena, { log }: Context): Promise<Seat | undefined> {
  try {
    return await contenders[id].seat(arena);
  } catch (error) {
    const variable = id === "grpc-noop-h2load" ? "H2LOAD_BIN" : /^red(?:lock|is)/.test(id) ? "REDIS_BIN" : undefined;
    if (variable === undefined || process.env[variable]) {
      throw error;
    }
    log(`left out ${contenders[id].label}: ${String(error)}`);
    return undefined;
  }
}
