import { readFile } from "node:fs/promises";
import type { Clock } from "@metasrv/wire";
import { EtcdRefusal } from "./etcd-refusal.js";

/** What an authenticator works with. */
export interface AuthenticatorOptions {
  /** Read anew each time. */
  readonly passwordFile: string;
  readonly clock: Clock;
  /** Asks etcd for a token. @throws EtcdRefusal when it gives none; Error as etcd's client */
  readonly ask: (password: string) => Promise<string>;
}

/** How long etcd is not asked again after it has refused a password, in milliseconds: to check one takes it long. */
const refusedMs = 1_000;

/**
 * Keeps the token by which etcd knows this server. However many calls need one at a time, etcd is asked once. A token lapses,
 * and is void after changes of users: whoever is told so {@link drop}s it, and asks for another.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  #token: string | undefined;
  #asking: Promise<string> | undefined;
  #refused: { readonly password: string; readonly error: EtcdRefusal; readonly untilMs: number } | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** The token that is good as far as is known; empty while etcd knows no users. */
  get token(): string | undefined {
    return this.#token;
  }

  /** etcd does not take the token any more. Nothing happens when there is another by now. */
  drop(token: string): void {
    if (this.#token === token) {
      this.#token = undefined;
    }
  }

  /** A token, a new one if there is none. @throws EtcdRefusal when etcd gives none; Error as etcd's client */
  authenticate(): Promise<string> {
    if (this.#token !== undefined) {
      return Promise.resolve(this.#token);
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<string> {
    const { clock, passwordFile, ask } = this.#options;
    const password = await readPassword(passwordFile);
    if (this.#refused?.password === password && clock.now() < this.#refused.untilMs) {
      throw this.#refused.error;
    }
    try {
      this.#token = await ask(password);
      this.#refused = undefined;
      return this.#token;
    } catch (error) {
      if (error instanceof EtcdRefusal) {
        this.#refused = { password, error, untilMs: clock.now() + refusedMs };
      }
      throw error;
    }
  }
}

async function readPassword(path: string): Promise<string> {
  const cannot = (why: string, cause?: unknown) =>
    new EtcdRefusal(
      "user",
      `the password of etcd's user cannot be read: expected it in the file for store.passwordFile (--store-password-file); ${why}`,
      cause,
    );
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw cannot(error instanceof Error ? error.message : String(error), error);
  }
  const password = text.replace(/\r?\n$/, "");
  if (password === "") {
    throw cannot(`${path} is empty`);
  }
  return password;
}
