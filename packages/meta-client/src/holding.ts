/**
 * What a server tells of a lock that was granted or renewed over a channel: the lock `expired`; somebody else
 * `released` it; or it is `unwatched`, because that server does not serve it on that channel any more. An unwatched
 * lock may still be held.
 */
export type LockNews = "expired" | "released" | "unwatched";

/** Told what a server says of a lock. */
export interface NewsListener {
  hear(news: LockNews): void;
}

/**
 * A lock that was granted, as channels know it: the key that unlocks and renewals name, and the listener for news. News
 * that come before there is a listener are kept.
 */
export class Holding {
  readonly key: Uint8Array;
  /**
   * The channel part that serves the lock now and tells news of it. Only channels use this and the number beside it.
   */
  servedBy: object | undefined;
  servedAs = 0;
  /** Whether renewals ask for a shared lock, because its holder needs it no more for itself alone. */
  downgraded = false;
  #listener: NewsListener | undefined;
  #unheard: LockNews | undefined;

  /** @param key - the proof of ownership that came with the grant */
  constructor(key: Uint8Array) {
    this.key = key;
  }

  /** From now on, the listener is told. */
  listen(listener: NewsListener): void {
    this.#listener = listener;
    if (this.#unheard !== undefined) {
      listener.hear(this.#unheard);
    }
  }

  /** A server has told news of the lock. */
  tell(news: LockNews): void {
    if (this.#listener === undefined) {
      this.#unheard = news;
    } else {
      this.#listener.hear(news);
    }
  }
}
