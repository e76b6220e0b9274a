import { DriverError } from "./lock-driver.js";

/** What a call failed with. */
export async function failureOf(call: Promise<unknown>): Promise<DriverError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof DriverError) {
      return error;
    }
    throw error;
  }
  throw new Error("the call was expected to fail");
}
