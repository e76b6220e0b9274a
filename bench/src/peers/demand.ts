import type { Ask } from "./ask.js";

/** What the callers of a workload ask for. */
export interface Demand {
  /** @param random - from 0 up to 1 */
  readonly next: (random: () => number) => Ask;
  /** What can be held at the same time only if nobody else holds anything. */
  readonly whole: readonly Ask[];
  /** How many holders at a time a check must see at least, or the contender does not let in all that it may. */
  readonly together: number;
}

const name = "asked";
const permits = 8;
const groupNames = Array.from({ length: 100 }, (_, n) => `group/${String(n).padStart(2, "0")}`);
const groupsOfAll = 10;
const writerShare = 0.1;

const shared: Ask = { kind: "shared", name };
const exclusive: Ask = { kind: "exclusive", name };
const permit: Ask = { kind: "permit", name, limit: permits };

/** All demands, by id. */
export const demands = {
  plain: { next: () => exclusive, whole: [exclusive], together: 1 },
  readers: { next: () => shared, whole: [exclusive], together: 2 },
  "readers-and-writers": {
    next: (random) => (random() < writerShare ? exclusive : shared),
    whole: [exclusive],
    together: 2,
  },
  permits: { next: () => permit, whole: Array.from({ length: permits }, () => permit), together: permits },
  "groups-of-2": groupsOf(2),
  "groups-of-8": groupsOf(8),
} as const satisfies Record<string, Demand>;

/** Id of a demand. */
export type DemandId = keyof typeof demands;

function groupsOf(size: number): Demand {
  const whole: Ask[] = [];
  for (let from = 0; from < groupNames.length; from += groupsOfAll) {
    whole.push({ kind: "group", names: groupNames.slice(from, from + groupsOfAll) });
  }
  return {
    next: (random) => {
      const names = new Set<string>();
      while (names.size < size) {
        names.add(groupNames[Math.floor(random() * groupNames.length)] ?? "");
      }
      return { kind: "group", names: [...names].sort() };
    },
    whole,
    together: 2,
  };
}
