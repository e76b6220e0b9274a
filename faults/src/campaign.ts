import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FaultPlan } from "./inject/run-faults.js";
import { runFaults } from "./inject/run-faults.js";
import type { Network } from "./network/network.js";
import { Random } from "./random.js";
import { summarize, type Summary } from "./report/summary.js";
import { Stage, type StageOptions } from "./stage/stage.js";

/** What a campaign does. */
export interface CampaignOptions {
  readonly network: Network;
  readonly sizes: Omit<StageOptions, "network" | "random" | "folder">;
  readonly plan: FaultPlan;
  readonly seed: number;
  /** Whether to keep the journals in any case. */
  readonly keep: boolean;
  /** Ends the campaign early: it rejects with the signal's reason, and leaves nothing behind. */
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

/**
 * Starts everything, injects the faults, ends everything, and checks what happened. If something was wrong, the
 * journals are kept and their folder is named.
 *
 * @throws Error when something did not recover, or could not be started or ended
 */
export async function runCampaign(options: CampaignOptions): Promise<Summary> {
  const { network, sizes, plan, seed, signal, say } = options;
  const folder = await mkdtemp(join(tmpdir(), "metasrv-faults-"));
  let { keep } = options;
  try {
    const random = new Random(seed);
    await using stage = await Stage.start({ network, random, folder, ...sizes });
    try {
      const faults = await runFaults(plan, { stage, random, signal, say });
      const summary = summarize(await stage.finish(faults));
      keep ||= summary.violations.length > 0;
      return summary;
    } catch (error) {
      keep ||= !signal.aborted;
      throw error;
    } finally {
      if (keep) {
        await stage.writeRecords();
      }
    }
  } finally {
    if (keep) {
      say(`the journals are in ${folder}`);
    } else {
      await rm(folder, { recursive: true, force: true });
    }
  }
}
