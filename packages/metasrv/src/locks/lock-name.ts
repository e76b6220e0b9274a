import type { LockName } from "../log/ticket-log.js";

/** Bytes that stand for themselves: readable in etcdctl, and none of them separates or escapes. */
const plain = /^[A-Za-z0-9_.~:@=+,-]*$/;
const escaped = /^(?:[A-Za-z0-9_.~:@=+,-]|%[0-9A-F]{2})+$/;

/**
 * Escapes a lock's name, any bytes, to the form in which tables and logs know it. Distinct names stay distinct, and no
 * escaped name contains `/`: `a`, `a/b` and `a%2Fb` become `a`, `a%2Fb` and `a%252Fb`.
 */
export function escapeLockName(name: Uint8Array): LockName {
  const text = Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString("latin1");
  if (plain.test(text)) {
    return text as LockName;
  }
  let result = "";
  for (const char of text) {
    result += plain.test(char) ? char : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return result as LockName;
}

/** The bytes of an escaped name. */
export function unescapeLockName(name: LockName): Uint8Array {
  if (!name.includes("%")) {
    return Buffer.from(name, "latin1");
  }
  return Buffer.from(
    name.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    "latin1",
  );
}

/** The escaped name in `text`, or undefined if {@link escapeLockName} cannot have made it. */
export function parseLockName(text: string): LockName | undefined {
  if (!escaped.test(text)) {
    return undefined;
  }
  const name = text as LockName;
  return escapeLockName(unescapeLockName(name)) === name ? name : undefined;
}
