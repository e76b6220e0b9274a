import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@metasrv/wire";
import { type Logger, pino } from "pino";
import type { AuditConfig } from "./audit-config.js";

/** Where the lines of the audit go. */
export interface AuditFile {
  /** Adds a line. What cannot be written is kept, up to a bound, and tried again with the next line. */
  readonly write: (line: string) => void;
  /** Opens the file by its path again, after somebody has renamed it. */
  reopen(): void;
  /** Resolves once all is written, or cannot be written in time. */
  close(): Promise<void>;
}

/** How many bytes may wait to be written, when the disk is full. What comes beyond that is lost. */
const mostUnwritten = 4 * 1024 * 1024;

/** How often it is logged at most that lines cannot be written, in milliseconds. */
const complainEveryMs = 10_000;

/** How long the end waits for lines to be written, in milliseconds. */
const closeMs = 500;

/**
 * Opens the file of the audit. Whatever becomes of it later is logged only: locks are served without it, too.
 *
 * @throws Error that says why it cannot be written, and what to do
 */
export async function openAuditFile(
  { file }: AuditConfig,
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
): Promise<AuditFile> {
  const isStdout = file === "-";
  const output = pino.destination({
    dest: isStdout ? process.stdout.fd : file,
    maxLength: mostUnwritten,
    mode: 0o600,
    sync: false,
  });
  await once(output, "ready").catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the audit cannot be written to ${file}: ${why}; give this user the right to write there`, {
      cause: error,
    });
  });
  let lost = 0;
  let complainedAtMs = Number.NEGATIVE_INFINITY;
  const complain = (error: unknown) => {
    if (clock.now() - complainedAtMs >= complainEveryMs) {
      complainedAtMs = clock.now();
      logger.error({ err: error, file, lostLines: lost }, "the audit cannot be written; locks are served without it");
    }
  };
  output.on("error", complain);
  output.on("drop", () => {
    lost++;
    complain(undefined);
  });
  return {
    write: (line) => void output.write(line),
    reopen: () => {
      if (!isStdout) {
        output.reopen();
      }
    },
    close: async () => {
      const closed = once(output, "close").catch(() => undefined);
      output.end();
      await Promise.race([closed, sleep(closeMs)]);
      output.destroy();
    },
  };
}
