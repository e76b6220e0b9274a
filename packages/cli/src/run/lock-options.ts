import type { HeldLocks, LockPart, MetaClient } from "@metasrv/meta-client";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../durations.js";
import { exitCodes, ExitError } from "../exit-codes.js";

/** What commander reads of a request for locks. */
export interface LockFlags {
  readonly shared?: boolean | undefined;
  readonly permits?: number | undefined;
  readonly limit?: number | undefined;
  readonly try?: boolean | undefined;
  readonly wait?: number | undefined;
  readonly ttl: number;
}

const defaultTtlMs = 30_000;

/** As many as a lock can have. */
const mostPermits = 2 ** 32 - 2;

/** Adds the options that say how locks are asked for. */
export function addLockOptions(command: Command): Command {
  return addTtlOption(command)
    .addOption(new Option("--shared", "hold together with all that share it").conflicts(["permits", "limit"]))
    .addOption(new Option("--permits <k>", "take so many permits of a semaphore (default: 1)").argParser(parseCount))
    .addOption(new Option("--limit <n>", "make it a semaphore with so many permits").argParser(parseCount))
    .addOption(new Option("--try", "do not wait").conflicts("wait"))
    .addOption(
      new Option("--wait <duration>", "how long to wait at most (default: no bound)").argParser(parseDuration),
    );
}

/** Adds `--ttl` alone. */
export function addTtlOption(command: Command): Command {
  return command.addOption(
    new Option("--ttl <duration>", "how long the lock outlives this process's death")
      .argParser(parseDuration)
      .default(defaultTtlMs, "30s"),
  );
}

/**
 * Asks for the locks, and waits for them as the flags say.
 *
 * @param endMarginMs - how long before the end of the hold its signal aborts; absent: as late as is safe
 * @throws ExitError (64, 75), the reason of the signal, or an error of the client
 */
export async function acquire(
  meta: MetaClient,
  names: readonly string[],
  flags: LockFlags,
  { signal, endMarginMs }: { readonly signal: AbortSignal; readonly endMarginMs?: number },
): Promise<HeldLocks> {
  const parts = names.map((name) => partOf(name, flags));
  const options = { ttlMs: flags.ttl, signal, endMarginMs };
  if (flags.try !== true) {
    return meta.lockAll(parts, { ...options, waitMs: flags.wait });
  }
  const lock = await meta.tryLockAll(parts, options);
  if (lock === null) {
    throw new ExitError(exitCodes.notAcquired, `${names.length > 1 ? "one of the locks" : "the lock"} is taken`);
  }
  return lock;
}

function partOf(name: string, { shared, permits, limit }: LockFlags): LockPart {
  if (limit === undefined && permits !== undefined) {
    throw new ExitError(exitCodes.usage, "--permits needs --limit, the number of permits that there are");
  }
  return { name, mode: shared === true ? "shared" : undefined, permits, limit };
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text) || Number(text) > mostPermits) {
    throw new InvalidArgumentError(`Expected a whole number from 1 to ${mostPermits}.`);
  }
  return Number(text);
}
