import { describe, expect, it } from "@jest/globals";
import type { Ask } from "../peers/ask.js";
import { Occupancy } from "./occupancy.js";

const alone: Ask = { kind: "exclusive", name: "a" };
const shared: Ask = { kind: "shared", name: "a" };
const permit: Ask = { kind: "permit", name: "a", limit: 2 };

describe("Occupancy", () => {
  it.each([
    ["two alone", [alone, alone]],
    ["one alone beside one that shares", [shared, alone]],
    ["one that shares beside one alone", [alone, shared]],
    ["more permits than there are", [permit, permit, permit]],
    [
      "groups that have a name in common",
      [
        { kind: "group", names: ["a", "b"] },
        { kind: "group", names: ["b", "c"] },
      ],
    ],
  ] satisfies [string, Ask[]][])("refuses %s", (_, asks) => {
    const occupancy = new Occupancy();
    asks.slice(0, -1).forEach((ask) => {
      occupancy.enter(ask);
    });
    expect(() => {
      occupancy.enter(asks.at(-1) ?? alone);
    }).toThrow(/is held by/);
  });

  it.each([
    ["those that share", [shared, shared, shared]],
    ["as many permits as there are", [permit, permit]],
    [
      "groups without a common name",
      [
        { kind: "group", names: ["a", "b"] },
        { kind: "group", names: ["c"] },
      ],
    ],
  ] satisfies [string, Ask[]][])("lets in %s", (_, asks) => {
    const occupancy = new Occupancy();
    asks.forEach((ask) => {
      occupancy.enter(ask);
    });
    expect(occupancy.count).toBe(asks.length);
  });

  it("forgets who has left", () => {
    const occupancy = new Occupancy();
    for (const ask of [alone, shared, permit, alone]) {
      occupancy.enter(ask);
      occupancy.leave(ask);
    }
    expect(occupancy.count).toBe(0);
  });

  it("tells the most holders at a time since it was asked before", () => {
    const occupancy = new Occupancy();
    occupancy.enter(shared);
    occupancy.enter(shared);
    occupancy.leave(shared);
    expect([occupancy.takePeak(), occupancy.takePeak()]).toEqual([2, 1]);
  });
});
