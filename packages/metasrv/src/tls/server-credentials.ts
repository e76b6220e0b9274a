import type { Clock, Timer } from "@metasrv/wire";
import type { Logger } from "pino";
import { checkCredentials, type Credentials, readCredentialFiles } from "./credentials.js";
import type { TlsSettings } from "./tls-settings.js";

export interface ServerCredentialsOptions {
  readonly settings: TlsSettings;
  readonly clock: Clock;
  /** The time of day, in Unix milliseconds: certificates end by it. */
  readonly unixMs: () => number;
  readonly logger: Logger;
}

/**
 * How often the files are looked at, in milliseconds. Watching them would miss what Kubernetes does, which replaces the
 * folder by changing a symbolic link.
 */
const lookMs = 30_000;

const dayMs = 86_400_000;

/** How long before its end a certificate is warned about, in milliseconds. */
const warnedMs = 14 * dayMs;

/** The log says at these times before the end of a certificate, and at the end, that it ends. */
const toldMs = [warnedMs, dayMs, 0];

/** The certificate of this server, which follows its files. */
export class ServerCredentials {
  readonly #options: ServerCredentialsOptions;
  #current: Credentials;
  /** Why the files of now are not used; undefined while they are. */
  #refused: string | undefined;
  /** How many of {@link toldMs} were told of the current certificate. */
  #told = 0;
  #looked: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #stopped = false;

  /** Called with new credentials, which handshakes use from then on. Connections that are open go on. */
  onChange: ((credentials: Credentials) => void) | undefined;

  private constructor(options: ServerCredentialsOptions, current: Credentials) {
    this.#options = options;
    this.#current = current;
    this.#announce();
    this.#lookLater();
  }

  /**
   * Reads the files, and follows them until {@link stop}.
   *
   * @throws Error that says which file cannot be used, and why
   */
  static async open(options: ServerCredentialsOptions): Promise<ServerCredentials> {
    const files = await readCredentialFiles(options.settings);
    return new ServerCredentials(options, checkCredentials(files, options.settings));
  }

  get current(): Credentials {
    return this.#current;
  }

  /** When the certificate ends, in Unix milliseconds. */
  get expiresAtMs(): number {
    return this.#current.expiresAtMs;
  }

  /** What somebody should do about the certificate, in words for people; nothing while all is well. */
  warnings(): readonly string[] {
    const { expiresAtMs, validFromMs } = this.#current;
    const nowMs = this.#options.unixMs();
    const warnings = [];
    if (nowMs < validFromMs) {
      warnings.push(`the TLS certificate is not valid before ${dateOf(validFromMs)}`);
    }
    if (nowMs >= expiresAtMs - warnedMs) {
      const ends = nowMs >= expiresAtMs ? "has expired" : "expires";
      warnings.push(`the TLS certificate ${ends}: ${dateOf(expiresAtMs)}; replace its files`);
    }
    if (this.#refused !== undefined) {
      warnings.push(`the TLS files have changed and cannot be used, those before are: ${this.#refused}`);
    }
    return warnings;
  }

  /** Looks at the files now. Resolves once what they have is used, or was found not to be good. */
  reload(): Promise<void> {
    this.#looked = this.#looked.then(() => this.#look());
    return this.#looked;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.after(lookMs, () => {
      void this.reload().then(() => {
        if (!this.#stopped) {
          this.#lookLater();
        }
      });
    });
  }

  async #look(): Promise<void> {
    const { settings, logger } = this.#options;
    try {
      const files = await readCredentialFiles(settings);
      if (files.hash !== this.#current.hash) {
        this.#current = checkCredentials(files, settings);
        this.#told = 0;
        this.onChange?.(this.#current);
        this.#announce();
      }
      this.#refused = undefined;
    } catch (error) {
      const refused = error instanceof Error ? error.message : String(error);
      if (refused !== this.#refused) {
        logger.warn({ err: error }, "the TLS files have changed and cannot be used; those before are used on");
      }
      this.#refused = refused;
    }
    this.#tellEnd();
  }

  #announce(): void {
    const { subject, expiresAtMs } = this.#current;
    this.#options.logger.info({ subject, expires: dateOf(expiresAtMs) }, "TLS certificate in use");
    this.#tellEnd();
  }

  #tellEnd(): void {
    const { subject, expiresAtMs } = this.#current;
    const leftMs = expiresAtMs - this.#options.unixMs();
    const due = toldMs.filter((ms) => leftMs <= ms).length;
    if (due > this.#told) {
      this.#told = due;
      const line = { subject, expires: dateOf(expiresAtMs) };
      if (leftMs <= 0) {
        this.#options.logger.error(line, "the TLS certificate has expired: clients refuse it; replace its files");
      } else {
        this.#options.logger.warn(line, "the TLS certificate expires soon; replace its files");
      }
    }
  }
}

function dateOf(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
