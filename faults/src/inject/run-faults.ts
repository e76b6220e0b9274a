import { setTimeout as sleep } from "node:timers/promises";
import type { FaultSpan } from "../history/history.js";
import { nowUs } from "../monotonic.js";
import type { Random } from "../random.js";
import type { Stage } from "../stage/stage.js";
import type { Fault, Scene } from "./fault.js";

/** Which faults happen, and when. */
export interface FaultPlan {
  /** These first, in this order. */
  readonly first: readonly Fault[];
  /** Then these, in random order, again and again, as long as `forMs` says. */
  readonly mixed: readonly Fault[];
  readonly forMs: number;
  /** How long nothing is done before the first fault, for comparison. */
  readonly quietMs: number;
  /** How long to wait after a fault, once all is well again, before the next one. */
  readonly recoveryMs: number;
}

/** What the faults act on, and who hears of them. */
export interface FaultRun {
  readonly stage: Stage;
  readonly random: Random;
  /** Ends the campaign early. */
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

/**
 * Injects faults one after the other; resolves with the times of all of them. Kind "quiet" is the time before the first
 * one.
 */
export async function runFaults(plan: FaultPlan, { stage, random, signal, say }: FaultRun): Promise<FaultSpan[]> {
  const spans: FaultSpan[] = [];
  const wait = async (ms: number): Promise<void> => {
    await sleep(ms, undefined, { signal });
  };
  const scene: Scene = { stage, random, wait };

  const beginUs = nowUs();
  await wait(plan.quietMs);
  spans.push({ kind: "quiet", target: "", beginUs, healedUs: nowUs(), endUs: nowUs() });
  for (const fault of faultsOf(plan, stage, random)) {
    const span = { kind: fault.kind, beginUs: nowUs() };
    const target = await fault.inject(scene);
    const healedUs = nowUs();
    await stage.well().catch((cause: unknown) => {
      throw new Error(`after ${fault.kind} (${target}): ${String(cause)}`, { cause });
    });
    const wellUs = nowUs();
    await wait(plan.recoveryMs);
    spans.push({ ...span, target, healedUs, endUs: nowUs() });
    const lasted = ((healedUs - span.beginUs) / 1e6).toFixed(1);
    say(`${fault.kind} (${target}): ${lasted} s, well ${((wellUs - healedUs) / 1e6).toFixed(1)} s later`);
  }
  return spans;
}

function* faultsOf({ first, mixed, forMs }: FaultPlan, stage: Stage, random: Random): Generator<Fault> {
  yield* first;
  const possible = mixed.filter((fault) => fault.possible?.(stage) ?? true);
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs && possible.length > 0) {
    for (const fault of random.shuffled(possible)) {
      if (performance.now() >= endMs) {
        return;
      }
      yield fault;
    }
  }
}
