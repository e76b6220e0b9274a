import { ApiError } from "./api.js";

/** What {@link follow} tells of a stream. */
export interface Following<Message> {
  /** A stream begins: what it tells first is what is there. */
  begun(): void;
  message(message: Message): void;
  /** The stream has ended, and another one is opened after a pause. */
  broken(error: ApiError): void;
}

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** A stream that says nothing for so long is given up, in milliseconds; Infinity: none is. */
  readonly silenceMs: number;
  /** Resolves when the next stream may be opened; it is told how many have broken one after the other. */
  readonly pause: (broken: number) => Promise<void>;
}

/** Follows a stream, and opens it again whenever it breaks, until the signal aborts. */
export async function follow<Message>(
  open: (signal: AbortSignal) => AsyncIterable<Message>,
  following: Following<Message>,
  { signal, silenceMs, pause }: FollowOptions,
): Promise<void> {
  let broken = 0;
  const isOver = () => signal.aborted;
  while (!isOver()) {
    const silence = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const listen = () => {
      clearTimeout(timer);
      if (silenceMs !== Infinity) {
        timer = setTimeout(() => {
          silence.abort(new ApiError("unavailable", `the server has said nothing for ${silenceMs / 1_000} s`));
        }, silenceMs);
      }
    };
    try {
      listen();
      following.begun();
      for await (const message of open(AbortSignal.any([signal, silence.signal]))) {
        listen();
        broken = 0;
        following.message(message);
      }
      throw new ApiError("unavailable", "the server has ended the stream");
    } catch (error) {
      if (isOver()) {
        return;
      }
      const reason: unknown = silence.signal.aborted ? silence.signal.reason : error;
      following.broken(reason instanceof ApiError ? reason : new ApiError("internal", String(reason)));
      await pause(++broken);
    } finally {
      clearTimeout(timer);
    }
  }
}
