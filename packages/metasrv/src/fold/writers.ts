import { HashTable } from "@metasrv/wire";
import type { Outcome } from "../model/command.js";
import type { WriterProgress } from "../model/snapshot.js";

/** An entry that was applied, and what became of its commands. */
interface AppliedEntry {
  readonly sequence: number;
  readonly outcomes: readonly Outcome[];
}

/** Which entries of one member were applied. */
class Writer {
  settled = 0;
  /** Those after `settled`, by their sequences. */
  readonly entries = new HashTable<number, AppliedEntry>((sequence) => sequence);
}

/**
 * Which entries were applied already, so that one that is written twice takes effect once. That can happen: trimming
 * removes an entry's key, by whose absence a repeated write is told from the first.
 *
 * Members that are gone write nothing any more, and are forgotten.
 */
export class Writers {
  readonly #writers = new Map<string, Writer>();

  /** Whether an entry was applied. */
  has(memberId: string, sequence: number): boolean {
    const writer = this.#writers.get(memberId);
    return writer !== undefined && (sequence <= writer.settled || writer.entries.has(sequence));
  }

  /** What became of the commands of an entry; undefined if it was not applied, or its writer knows it. */
  outcomes(memberId: string, sequence: number): readonly Outcome[] | undefined {
    return this.#writers.get(memberId)?.entries.get(sequence)?.outcomes;
  }

  /** All entries up to this sequence were applied. */
  foldedUpTo(memberId: string): number {
    const writer = this.#writers.get(memberId);
    let upTo = writer?.settled ?? 0;
    while (writer?.entries.has(upTo + 1) === true) {
      upTo++;
    }
    return upTo;
  }

  /** An entry was applied, and its writer knew the outcomes up to `settled`. */
  applied(memberId: string, sequence: number, settled: number, outcomes: readonly Outcome[]): void {
    let writer = this.#writers.get(memberId);
    if (writer === undefined) {
      writer = new Writer();
      this.#writers.set(memberId, writer);
    }
    writer.entries.set(sequence, { sequence, outcomes });
    if (settled > writer.settled) {
      writer.settled = settled;
      for (const known of writer.entries.values()) {
        if (known.sequence <= settled) {
          writer.entries.delete(known.sequence);
        }
      }
    }
  }

  /** The member is gone. */
  forget(memberId: string): void {
    this.#writers.delete(memberId);
  }

  /** All but these members are gone. */
  keepOnly(memberIds: ReadonlySet<string>): void {
    for (const memberId of this.#writers.keys()) {
      if (!memberIds.has(memberId)) {
        this.#writers.delete(memberId);
      }
    }
  }

  /** Everything that is known, to be given to {@link restore}. */
  progress(): WriterProgress[] {
    return [...this.#writers].map(([memberId, { settled, entries }]) => ({
      memberId,
      settled,
      entries: [...entries.values()].sort((a, b) => a.sequence - b.sequence),
    }));
  }

  restore({ memberId, settled, entries }: WriterProgress): void {
    const writer = new Writer();
    writer.settled = settled;
    for (const { sequence, outcomes } of entries) {
      writer.entries.set(sequence, { sequence, outcomes });
    }
    this.#writers.set(memberId, writer);
  }
}
