/**
 * What a server has to say of a lock that was granted or renewed over a channel: it `expired`; it was `released` by somebody
 * else; or it is `unwatched`, because the server does not serve it there any more, though it may still be held.
 */
export type LockNews = "expired" | "released" | "unwatched";

/** Who is told what a server has to say of a lock. */
export interface NewsListener {
  hear(news: LockNews): void;
}

/**
 * A lock that was granted, as channels know it: what unlocks and renewals name, and where news of it arrive. News that
 * come before anybody listens are kept.
 */
export class Holding {
  readonly key: Uint8Array;
  /** What serves the lock now and tells of it; a channel's own business, as is the number under which it does. */
  servedBy: object | undefined;
  servedAs = 0;
  #listener: NewsListener | undefined;
  #unheard: LockNews | undefined;

  /** @param key - the proof of ownership that came with the grant */
  constructor(key: Uint8Array) {
    this.key = key;
  }

  /** From now on the listener is told. */
  listen(listener: NewsListener): void {
    this.#listener = listener;
    if (this.#unheard !== undefined) {
      listener.hear(this.#unheard);
    }
  }

  /** A server has something to say of the lock. */
  tell(news: LockNews): void {
    if (this.#listener === undefined) {
      this.#unheard = news;
    } else {
      this.#listener.hear(news);
    }
  }
}
