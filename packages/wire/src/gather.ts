/**
 * Calls `done` soon, so that what comes close together goes out together. It calls after this turn of the event loop,
 * in which all connections are read. If `urgent`, it calls after the callback that is running.
 */
export type Gather = (done: () => void, urgent: boolean) => void;

/** Gathers by the event loop of this process. */
export const gatherByEventLoop: Gather = (done, urgent) => {
  if (urgent) {
    process.nextTick(done);
  } else {
    setImmediate(done);
  }
};
