import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { next, type TicketEffect, type TicketEvent, type TicketState, transitions } from "./ticket-state.js";

/** The table of `ARCHITECTURE.md`: for each event and state, where it leads; "" where it changes nothing. */
const written = readTable(readFileSync(new URL("../../../../ARCHITECTURE.md", import.meta.url), "utf8"));

const states = Object.keys(transitions) as TicketState[];
const all = states.flatMap((from) =>
  Object.entries(transitions[from]).map(([event, { to, effects }]) => ({ from, event, to, effects })),
);

/** States in which a requester is here and not told yet, and those in which nobody wants the ticket. */
const asking: readonly TicketState[] = ["looking", "asking", "waiting", "untold", "replacing"];
const alone: readonly TicketState[] = ["askingAlone", "withdrawn", "kept", "removing", "leftOver", "gone"];
/** Whoever waits is told nothing more after one of these. */
const lastWords: readonly TicketEffect[] = [
  "tellGranted",
  "tellRefused",
  "tellSuperseded",
  "tellRemoved",
  "tellFailed",
  "leave",
];

describe("the states of a ticket", () => {
  test("are those of the table in ARCHITECTURE.md, and the events too", () => {
    const used = new Set(all.map(({ event }) => event));
    expect([...written.keys()].sort()).toEqual([...used].sort());
    for (const row of written.values()) {
      expect([...row.keys(), "gone"]).toEqual(states);
    }
  });

  const cells = [...written].flatMap(([event, row]) => [...row].map(([state, to]) => [event, state, to] as const));

  test.each(cells)("%s, when %s, leads to %j", (event, state, to) => {
    expect(next(state as TicketState, event as TicketEvent)?.to ?? "").toBe(to);
  });

  test.each([...written.keys()])("%s changes nothing once it is gone", (event) => {
    expect(next("gone", event as TicketEvent)).toBeUndefined();
  });

  test("can all be reached, and all lead to the end", () => {
    const reached = closure(["looking", "asking", "withdrawn", "kept"], (state) =>
      all.flatMap(({ from, to }) => (from === state ? to : [])),
    );
    expect([...reached].sort()).toEqual([...states].sort());
    const ending = closure(["gone"], (state) => all.flatMap(({ from, to }) => (to === state ? from : [])));
    expect([...ending].sort()).toEqual([...states].sort());
  });

  test("let go of the ticket last of all, at the end and nowhere else", () => {
    for (const { to, effects } of all) {
      expect(effects.filter((effect) => effect === "forget")).toHaveLength(to === "gone" ? 1 : 0);
      expect(effects.at(-1) === "forget").toBe(to === "gone");
    }
  });

  test("tell a requester that waits one last thing when it ends to wait, and nothing before", () => {
    for (const { from, event, to, effects } of all.filter((each) => asking.includes(each.from))) {
      const words = effects.filter((effect) => lastWords.includes(effect)).length;
      expect([from, event, words]).toEqual([from, event, asking.includes(to) ? 0 : 1]);
    }
  });

  test("tell nothing where there is nobody to tell", () => {
    for (const { from, event, effects } of all.filter((each) => alone.includes(each.from))) {
      const told = effects.filter((effect) => effect.startsWith("tell") || effect === "leave");
      expect([from, event, told]).toEqual([from, event, []]);
    }
  });

  test("tell a holder of the loss whenever the hold ends without its wish", () => {
    const losses: readonly TicketEffect[] = ["tellReleased", "tellExpired", "tellMoved"];
    const isHold: readonly TicketState[] = ["held", "releasing"];
    for (const { from, event, to, effects } of all.filter((each) => isHold.includes(each.from))) {
      const told = effects.filter((effect) => losses.includes(effect)).length;
      // Its wish is done when its release is, or when it asks for the lock again.
      const isWish = event === "done" || event === "askAgain";
      expect([from, event, told]).toEqual([from, event, isHold.includes(to) || isWish ? 0 : 1]);
    }
  });

  test("send a create command exactly when they come to ask, and a remove command when they come to remove", () => {
    for (const { from, event, to, effects } of all) {
      const sends = (effect: TicketEffect) => effects.includes(effect);
      expect([from, event, sends("create")]).toEqual([from, event, to === "asking"]);
      // A remove command is on its way already in the states that a release or a repeated request came from.
      const isOnItsWay = from === "releasing" || from === "replacing" || from === "removing";
      const begins = (to === "removing" || (to === "replacing" && from === "asking")) && !isOnItsWay;
      expect([from, event, sends("remove") || sends("expire")]).toEqual([from, event, begins]);
    }
  });

  test("run out only where a time was started", () => {
    const starts: readonly TicketEffect[] = ["startTtl", "startGrace", "startKeep", "removeLater"];
    const timed = new Set(all.filter(({ event }) => event === "timeOver").map(({ from }) => from));
    expect([...timed].sort()).toEqual(["askingAlone", "held", "kept", "leftOver", "releasing"]);
    for (const { from, event, to, effects } of all.filter((each) => timed.has(each.to) && each.from !== each.to)) {
      const runs = timed.has(from) || effects.some((effect) => starts.includes(effect));
      expect([from, event, to, runs]).toEqual([from, event, to, true]);
    }
  });
});

function readTable(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const table = /<!-- ticket states -->(.*)<!-- \/ticket states -->/su.exec(text)?.[1] ?? "";
  const [header = [], , ...rows] = table
    .trim()
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()));
  return new Map(
    rows.flatMap(([, events = "", ...cells]) =>
      events
        .split(", ")
        .map((event) => [event, new Map(header.slice(2, -1).map((state, at) => [state, cells[at] ?? ""]))] as const),
    ),
  );
}

function closure(
  start: readonly TicketState[],
  step: (state: TicketState) => readonly TicketState[],
): Set<TicketState> {
  const found = new Set(start);
  for (const state of found) {
    step(state).forEach((other) => found.add(other));
  }
  return found;
}
