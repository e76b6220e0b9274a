/**
 * Calls back soon, so that what comes close together goes out together: after this turn of the event loop, in which all
 * connections are read, or, where it is urgent, after the callback that is running.
 */
export type Gather = (done: () => void, urgent: boolean) => void;

/** By the event loop of this process. */
export const gatherByEventLoop: Gather = (done, urgent) => {
  if (urgent) {
    process.nextTick(done);
  } else {
    setImmediate(done);
  }
};
