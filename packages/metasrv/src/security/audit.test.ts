import { expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { Audit, mostDenied } from "./audit.js";

function startAudit() {
  const clock = new ManualClock();
  const lines: string[] = [];
  const audit = new Audit({ write: (line) => lines.push(line), clock, unixMs: () => 0 });
  const events = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { audit, clock, lines, events };
}

test("a line is JSON with the time, and a name cannot break out of it", () => {
  const { audit, lines } = startAudit();
  audit.write("force", { principal: "ops", lock: 'a"\n%00', token: undefined, outcome: "done" });
  expect(lines).toEqual([
    '{"time":"1970-01-01T00:00:00.000Z","event":"force","principal":"ops","lock":"a\\"\\n%00","outcome":"done"}\n',
  ]);
});

test("a line does not control the terminal on which it is read, and says the same", () => {
  const { audit, lines, events } = startAudit();
  const reason = "\u009b2Jstuck\u202e\u{e0001}\u007f";
  audit.write("force", { reason });
  expect(lines[0]).toContain('"reason":"\\u009b2Jstuck\\u202e\\udb40\\udc01\\u007f"');
  expect(events()[0]).toMatchObject({ reason });
});

test("of many refusals, some are told, and how many were not; of each principal by itself", async () => {
  const { audit, clock, events } = startAudit();
  for (let count = 0; count < 1_000; count++) {
    audit.denied("billing", { principal: "billing", lock: `a/${count}` });
  }
  audit.denied("stock", { principal: "stock" });
  expect(events()).toHaveLength(mostDenied + 1);
  expect(events().at(-1)).toMatchObject({ event: "denied", principal: "stock", outcome: "denied" });
  await clock.advance(1_000);
  expect(events().at(-1)).toMatchObject({ event: "denied, left out", principal: "billing", count: 1_000 - mostDenied });
  audit.denied("billing", { principal: "billing", lock: "later" });
  expect(events().at(-1)).toMatchObject({ event: "denied", lock: "later" });
  audit.close();
});

test("the end tells what was left out", () => {
  const { audit, clock, events } = startAudit();
  for (let count = 0; count <= mostDenied; count++) {
    audit.denied("", {});
  }
  audit.close();
  expect(events().at(-1)).toEqual({ time: expect.any(String), event: "denied, left out", count: 1 });
  expect(clock.timers).toBe(0);
});
