/** What a cycle asks for, where contenders have more than plain locks. */
export type Ask =
  | { readonly kind: "exclusive"; readonly name: string }
  | { readonly kind: "shared"; readonly name: string }
  | { readonly kind: "permit"; readonly name: string; readonly limit: number }
  /** All of them for itself; the names are sorted. */
  | { readonly kind: "group"; readonly names: readonly string[] };

/** Gives back what was taken, and resolves when the service has it back. */
export type Release = () => Promise<void>;

/** Takes what is asked for, several at a time if need be. */
export interface Taker {
  take(ask: Ask): Promise<Release>;
}

/** A load generator's way to a lock service that has several kinds of locks. It lasts as long as its process. */
export interface TakerClient {
  /** Prepares one of the concurrent callers. */
  taker(): Promise<Taker>;
}

/** For contenders that do not have all kinds. */
export function unknownKind({ kind }: Ask): Error {
  return new Error(`this contender has nothing of the kind "${kind}"`);
}
