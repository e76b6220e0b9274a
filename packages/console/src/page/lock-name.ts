/** A lock's name in JSON: a text, or bytes in base64 where it is none. */
export interface WireName {
  readonly name?: string;
  readonly nameBytes?: string;
}

/** A name, as this page works with it. */
export interface LockName {
  /** As it is sent to the server. */
  readonly wire: WireName;
  /** The same for the same name. */
  readonly key: string;
  /** For people; see {@link shownText}. Two names are never shown alike. */
  readonly shown: string;
  /** What the name begins with up to its first slash, shown alike; empty if it has none. */
  readonly family: string;
}

/** Reads a name. */
export function readName({ name, nameBytes }: WireName): LockName {
  if (nameBytes !== undefined) {
    const shown = shownBytes(nameBytes);
    return { wire: { nameBytes }, key: `bytes ${nameBytes}`, shown, family: familyOf(shown) };
  }
  const text = name ?? "";
  const shown = shownText(text);
  return { wire: { name: text }, key: `text ${text}`, shown, family: familyOf(shown) };
}

/**
 * A text from somebody else, for people to read: what cannot be seen, or would change how its neighbours are shown, is written
 * out, such as `\u{202e}`, and so is the backslash itself.
 */
export function shownText(text: string): string {
  return text.replace(/\\|[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (character) =>
    character === "\\" ? "\\\\" : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

function shownBytes(base64: string): string {
  return atob(base64).replace(/\\|[^ -~]/g, (byte) =>
    byte === "\\" ? "\\\\" : `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

function familyOf(shown: string): string {
  const end = shown.indexOf("/");
  return end === -1 ? "" : shown.slice(0, end + 1);
}
