import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { create, Told } from "../../../test-support/told.js";
import { notAMember } from "../../model/lock-errors.js";
import { PendingCommand } from "./log-writer.js";

test("a command is told its outcome once, whatever comes first, and at most once before that it takes too long", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("settle", "fail", "late")), (steps) => {
      const told = new Told();
      const pending = new PendingCommand(create(1), told, 100);
      for (const step of steps) {
        if (step === "settle") {
          pending.settle({ kind: "done" });
        } else {
          pending[step](notAMember());
        }
      }
      const end = steps.findIndex((step) => step !== "late");
      const lateFirst = steps[0] === "late" ? ["overdue not-a-member"] : [];
      const ends = end === -1 ? [] : [steps[end] === "settle" ? "settled done" : "failed not-a-member"];
      expect(told.words).toEqual([...lateFirst, ...ends]);
      expect(pending.overdue).toBe(lateFirst.length > 0);
    }),
  );
});
