import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import { Audit } from "./audit.js";
import type { AuditConfig } from "./audit-config.js";
import { type AuditFile, openAuditFile } from "./audit-file.js";
import type { AuthConfig } from "./auth-config.js";
import { GuardedAccess, type GuardedAccessOptions } from "./guarded-access.js";
import type { QuotasConfig } from "./quotas-config.js";

/** Who may do what, and what is written down of it. */
export interface SecurityConfig {
  readonly auth: AuthConfig;
  readonly quotas: QuotasConfig;
  /** Undefined: nothing is written down. */
  readonly audit: AuditConfig | undefined;
}

export interface ProtectionOptions extends Omit<GuardedAccessOptions, "auth" | "quotas" | "audit"> {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What stands between the callers of a server and its locks. */
export class Protection {
  readonly access: GuardedAccess;
  readonly #audit: Audit | undefined;
  readonly #file: AuditFile | undefined;
  /** What is in force, as text. */
  #current: string;

  private constructor(config: SecurityConfig, options: ProtectionOptions, file: AuditFile | undefined) {
    const write = file?.write;
    this.#file = file;
    this.#audit = write && new Audit({ write, clock: options.clock });
    this.#current = textOf(config);
    this.access = new GuardedAccess({ ...options, auth: config.auth, quotas: config.quotas, audit: this.#audit });
  }

  /** @throws Error when the audit cannot be written */
  static async start(config: SecurityConfig, options: ProtectionOptions): Promise<Protection> {
    const { audit } = config;
    const file = audit && (await openAuditFile(audit, options));
    const protection = new Protection(config, options, file);
    protection.#audit?.write("start");
    return protection;
  }

  /**
   * From now on, these principals, rights and quotas count, for what is under way, too. The audit stays where it is.
   *
   * @returns whether they are others than before
   */
  replace(config: SecurityConfig): boolean {
    const text = textOf(config);
    if (text === this.#current) {
      return false;
    }
    this.access.replace(config.auth, config.quotas);
    this.#current = text;
    this.#audit?.write("reload", { outcome: "done" });
    return true;
  }

  /** A configuration could not be read, and the one before stays in force. */
  notReplaced(why: string): void {
    this.#audit?.write("reload", { outcome: why });
  }

  /** Opens the file of the audit again, after somebody has renamed it. */
  reopen(): void {
    this.#file?.reopen();
  }

  /** Writes down the end. */
  async close(): Promise<void> {
    this.#audit?.close();
    this.#audit?.write("stop");
    await this.#file?.close();
  }
}

function textOf({ auth, quotas }: SecurityConfig): string {
  return JSON.stringify([auth, quotas]);
}
