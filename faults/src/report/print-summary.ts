import type { Verdict } from "./promises.js";
import type { Summary } from "./summary.js";
import { markdownTable } from "./table.js";
import { effectsTable, verdictsTable } from "./tables.js";

const shownOfEach = 5;

/** Prints what a campaign has shown: tables first, and then everything that should not have been. */
export function printSummary(summary: Summary, verdicts: readonly Verdict[]): void {
  const { acquisitions, ofSeveral, forced, seconds, writes, effects, strayErrors, violations } = summary;
  console.log(`\n${markdownTable(effectsTable(summary))}\n\n${markdownTable(verdictsTable(verdicts))}\n`);
  for (const { kind, target, lostHolds, lostPlaces, lateTickets, errors } of effects) {
    const notes = { "hold lost": lostHolds, "place lost": lostPlaces, "late ticket": lateTickets, error: errors };
    for (const [what, texts] of Object.entries(notes)) {
      for (const text of texts.slice(0, shownOfEach)) {
        console.log(`${kind} (${target}): ${what}: ${text}`);
      }
    }
  }
  for (const text of strayErrors) {
    console.log(`while nothing was wrong: error: ${text}`);
  }
  for (const { rule, what } of violations) {
    console.log(`VIOLATION of "${rule}": ${what}`);
  }
  console.log(
    `${acquisitions} acquisitions in ${Math.round(seconds)} s, ${ofSeveral} of them of several locks, ` +
      `${forced} tickets removed by force, ${writes.taken} writes taken, ` +
      `${writes.refused} refused by the fence, ${violations.length} violations`,
  );
}
