import { expect, test } from "@jest/globals";
import { Roster } from "./roster.js";

test("a roster holds what was added and not deleted", () => {
  const roster = new Roster<{ name: string; rosterPlace: number }>();
  const [a, b, c] = ["a", "b", "c"].map((name) => ({ name, rosterPlace: 0 }));
  if (a === undefined || b === undefined || c === undefined) {
    throw new Error("three were made");
  }
  roster.add(a);
  roster.delete(b);
  roster.add(b);
  roster.add(c);
  roster.delete(a);
  roster.delete(a);
  expect(new Set(roster.all())).toEqual(new Set([b, c]));
  roster.delete(c);
  roster.delete(b);
  expect(roster.size).toBe(0);
});
