// In browsers, in place of platform.ts; see there.

export { Buffer } from "buffer/index.js";

/** Browsers do not know what code is called by which. */
export class AsyncLocalStorage<T> {
  run<R>(_store: T, body: () => R): R {
    return body();
  }

  getStore(): T | undefined {
    return undefined;
  }
}

/** As crypto.randomUUID, which pages that came without TLS do not have. */
export function randomUUID(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fileURLToPath(url: URL): string {
  return url.href;
}

export const inspect = Object.assign(
  (value: unknown): string => {
    try {
      return JSON.stringify(value).slice(0, 80);
    } catch {
      return String(value);
    }
  },
  { custom: Symbol.for("nodejs.util.inspect.custom") },
);

export const tracksCheaply = false;

const name = `browser:${randomUUID().slice(0, 8)}`;

export function processName(): string {
  return name;
}

export function allowManyListeners(): void {
  // Browsers give no such warning.
}

export function warn(message: string, code: string): void {
  console.warn(`${code}: ${message}`);
}
