import type { LockRequest } from "@metasrv/proto/metasrv/v1";
import { invalid } from "./argument-checks.js";
import { Buffer } from "./platform.js";

/** A lock's name, 1 to 1024 bytes: a text, or any bytes. A text and its UTF-8 bytes name the same lock. */
export type LockName = string | Uint8Array;

/** A name as requests carry it. */
export type WireName = Exclude<LockRequest["lock"], { case: undefined }>;

const longestShownName = 80;

/**
 * The name as requests carry it.
 *
 * @throws InvalidArgumentError for what can name no lock on any server; the server checks the length
 */
export function toWireName(name: unknown): WireName {
  if (typeof name === "string") {
    if (name === "") {
      throw invalid("name", "a text or bytes of at least 1 byte", name);
    }
    // In UTF-8, every lone surrogate becomes U+FFFD, so two different texts would be one lock.
    if (/\p{Surrogate}/u.test(name)) {
      throw invalid("name", "a well-formed text (no lone surrogates), or bytes", name);
    }
    return { case: "name", value: name };
  }
  if (name instanceof Uint8Array) {
    if (name.length === 0) {
      throw invalid("name", "a text or bytes of at least 1 byte", name);
    }
    // A copy, because a retry must ask for the same lock whatever the caller does to its buffer meanwhile.
    return { case: "nameBytes", value: Uint8Array.from(name) };
  }
  throw invalid("name", "a text or bytes", name);
}

/** Whether both name the same lock: a text and its UTF-8 bytes do. */
export function isSameLock(one: WireName, other: WireName): boolean {
  return one.value === other.value || Buffer.from(one.value).equals(Buffer.from(other.value));
}

/** The lock's name in messages: quoted text, or bytes in hexadecimal; shortened when it is long. */
export function describeLock(name: LockName): string {
  const shown = typeof name === "string" ? name : Buffer.from(name).toString("hex");
  const cut = shown.length > longestShownName ? `${shown.slice(0, longestShownName)}…` : shown;
  return typeof name === "string" ? `lock ${JSON.stringify(cut)}` : `lock 0x${cut}`;
}

/** Several locks in messages. */
export function describeLocks(names: readonly LockName[]): string {
  const [first = "", ...others] = names;
  return others.length === 0
    ? describeLock(first)
    : `group of locks ${names.map((name) => describeLock(name).slice(5)).join(", ")}`;
}
