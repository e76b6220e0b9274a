import { InvalidArgumentError } from "./meta-errors.js";
import { inspect } from "./platform.js";

/** An error that says what an argument should be and what came instead. */
export function invalid(argument: string, expected: string, got: unknown): InvalidArgumentError {
  const shown = inspect(got, { depth: 1, maxArrayLength: 8, maxStringLength: 80, breakLength: Infinity });
  return new InvalidArgumentError(`${argument} must be ${expected}, but is ${shown}.`);
}

/**
 * A number of milliseconds, or undefined when absent.
 *
 * @throws InvalidArgumentError unless it is a whole number, `leastMs` at least
 */
export function checkDurationMs(argument: string, value: unknown, leastMs: 0 | 1): number | undefined {
  if (value === undefined) {
    return undefined;
  }
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= leastMs) {
    return value;
  }
  throw invalid(argument, `a whole number of milliseconds, ${leastMs} or more`, value);
}

/** @throws InvalidArgumentError unless it is a boolean or absent */
export function checkBoolean(argument: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === "boolean") {
    return value;
  }
  throw invalid(argument, "true or false", value);
}

/** @throws InvalidArgumentError unless it is a text or absent */
export function checkText(argument: string, value: unknown): string | undefined {
  if (value === undefined || typeof value === "string") {
    return value;
  }
  throw invalid(argument, "a text", value);
}

/** @throws InvalidArgumentError unless it is an object */
export function checkObject(argument: string, value: unknown, expected: string): asserts value is object {
  if (typeof value !== "object" || value === null) {
    throw invalid(argument, expected, value);
  }
}
