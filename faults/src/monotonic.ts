/**
 * Microseconds on the machine's monotonic clock, which all its processes share. A number holds them exactly for 285
 * years after the machine's start.
 */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

const offsetUs = nowUs() - performance.now() * 1000;

/** A moment on this process's `performance.now()`, in milliseconds, as microseconds on the shared clock. */
export function sharedUs(performanceNowMs: number): number {
  return Math.round(performanceNowMs * 1000 + offsetUs);
}
