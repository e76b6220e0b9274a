import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { Circuit } from "./circuit.js";

const coolDown = { initialMs: 1_000, maxMs: 8_000 };

describe("Circuit", () => {
  test("is closed at first, open after a failure, and closed again after the cool-down", async () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 1, coolDown });
    expect(circuit.openUntilMs).toBe(0);
    circuit.open();
    expect(circuit.openUntilMs).toBe(clock.now() + 1_000);
    await clock.advance(1_000);
    expect(circuit.openUntilMs).toBe(0);
  });

  test("has a cool-down that grows with failures in a row, up to its bound", async () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 1, coolDown });
    const coolDownsMs = [];
    for (let failure = 0; failure < 6; failure++) {
      circuit.open();
      coolDownsMs.push(circuit.openUntilMs - clock.now());
      await clock.advance(circuit.openUntilMs - clock.now());
    }
    expect(coolDownsMs).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  });

  test("counts failures while it is open once", async () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 1, coolDown });
    circuit.open();
    await clock.advance(500);
    circuit.open();
    await clock.advance(500);
    expect(circuit.openUntilMs).toBe(0);
    circuit.open();
    expect(circuit.openUntilMs).toBe(clock.now() + 2_000);
  });

  test("begins with the shortest cool-down again after a time without failures", async () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 1, coolDown });
    for (let failure = 0; failure < 4; failure++) {
      circuit.open();
      await clock.advance(circuit.openUntilMs - clock.now());
    }
    await clock.advance(8_001);
    circuit.open();
    expect(circuit.openUntilMs).toBe(clock.now() + 1_000);
  });

  test("has jitter: up to a half less", () => {
    const clock = new ManualClock();
    const circuit = new Circuit({ clock, random: () => 0, coolDown });
    circuit.open();
    expect(circuit.openUntilMs).toBe(clock.now() + 500);
  });
});
