// In browsers, in place of session-wire.ts; see there. No browser streams both ways, so this carrier is never tried.

export function openSessionWire(): never {
  throw new Error("a browser streams one way only");
}
