import type { LockName } from "../log/ticket-log.js";

const percent = 0x25;

/** For each byte, whether it stands for itself: readable in etcdctl, and neither separates nor escapes. */
const plain = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9_.~:@=+,-]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

/** For each byte, how it is written in an escaped name. */
const written = Array.from(plain, (itself, byte) =>
  itself === 1 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
);

/** The value of a character as an upper-case hexadecimal digit; -1 if it is none. */
const digits = Int8Array.from({ length: 256 }, (_, code) => "0123456789ABCDEF".indexOf(String.fromCharCode(code)));

/**
 * Escapes a lock's name, any bytes, to the form in which tables and logs know it. Distinct names stay distinct, and no
 * escaped name contains `/`: `a`, `a/b` and `a%2Fb` become `a`, `a%2Fb` and `a%252Fb`.
 */
export function escapeLockName(name: Uint8Array): LockName {
  const text = Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString("latin1");
  let result = "";
  let start = 0;
  for (let at = 0; at < name.length; at++) {
    const byte = name[at] ?? 0;
    if (plain[byte] !== 1) {
      result += text.slice(start, at) + (written[byte] ?? "");
      start = at + 1;
    }
  }
  return (start === 0 ? text : result + text.slice(start)) as LockName;
}

/** The bytes of an escaped name. */
export function unescapeLockName(name: LockName): Uint8Array {
  const bytes = Buffer.from(name, "latin1");
  let length = bytes.indexOf(percent);
  if (length === -1) {
    return bytes;
  }
  for (let at = length; at < bytes.length; at++) {
    let byte = bytes[at] ?? 0;
    if (byte === percent) {
      byte = hexPair(bytes[at + 1], bytes[at + 2]);
      at += 2;
    }
    bytes[length++] = byte;
  }
  return bytes.subarray(0, length);
}

/** The escaped name in `text`, or undefined if {@link escapeLockName} cannot have made it. */
export function parseLockName(text: string): LockName | undefined {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === percent) {
      const byte = hexPair(text.charCodeAt(at + 1), text.charCodeAt(at + 2));
      if (byte < 0 || plain[byte] === 1) {
        return undefined;
      }
      at += 2;
    } else if (plain[code] !== 1) {
      return undefined;
    }
  }
  return text === "" ? undefined : (text as LockName);
}

/** The byte that two hexadecimal digits stand for; negative if they are none. */
function hexPair(high = 0, low = 0): number {
  const upper = digits[high] ?? -1;
  const lower = digits[low] ?? -1;
  return upper < 0 || lower < 0 ? -1 : 16 * upper + lower;
}
