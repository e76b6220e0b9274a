import { createNamespaceNetwork } from "./network/namespace-network.js";
import {
  canHavePrivateNetwork,
  hideNamespaceNames,
  isInPrivateNetwork,
  runInPrivateNetwork,
} from "./network/private-network.js";
import { proxyNetwork } from "./network/proxy-network.js";
import { runCampaign } from "./campaign.js";
import { allFaults, faultOf } from "./inject/catalogue.js";
import { type Options, parseOptions, usage } from "./options.js";
import { judge } from "./report/promises.js";
import { markdownTable } from "./report/table.js";
import { effectsTable, verdictsTable } from "./report/tables.js";

const sizes = { storeMembers: 3, nodes: 3, clients: 3, workersPerClient: 22 };

async function main(options: Options): Promise<number> {
  const ending = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      ending.abort(new Error(`ended by ${signal}`));
    });
  }
  const { minutes, seed } = options;
  const first = options.first.flatMap(({ kind, times }) => Array.from({ length: times }, () => faultOf(kind)));
  let network = proxyNetwork;
  if (isInPrivateNetwork()) {
    await hideNamespaceNames();
    network = await createNamespaceNetwork({ store: sizes.storeMembers, node: sizes.nodes, client: sizes.clients });
  }
  console.log(`seed ${seed}, ${network.kind}; again: npm run faults -- --seed ${seed} and the same options`);
  const plan = { first, mixed: allFaults, forMs: minutes * 60_000, quietMs: 8_000, recoveryMs: 3_000 };
  const say = (text: string): void => {
    console.log(text);
  };
  const summary = await runCampaign({ network, sizes, plan, seed, keep: options.keep, signal: ending.signal, say });
  const verdicts = judge(summary);
  console.log(`\n${markdownTable(effectsTable(summary))}\n\n${markdownTable(verdictsTable(verdicts))}\n`);
  for (const { kind, target, lostHolds, lostPlaces, errors } of summary.effects) {
    const notes = { "hold lost": lostHolds, "place lost": lostPlaces, error: errors };
    for (const [what, texts] of Object.entries(notes)) {
      for (const text of texts.slice(0, 5)) console.log(`${kind} (${target}): ${what}: ${text}`);
    }
  }
  for (const text of summary.strayErrors) console.log(`while nothing was wrong: error: ${text}`);
  for (const { rule, what } of summary.violations) console.log(`VIOLATION of "${rule}": ${what}`);
  const { acquisitions, seconds, writes, violations } = summary;
  console.log(
    `${acquisitions} acquisitions in ${Math.round(seconds)} s, ${writes.taken} writes taken, ` +
      `${writes.refused} refused by the fence, ${violations.length} violations`,
  );
  return violations.length > 0 || verdicts.some(({ kept }) => !kept) ? 1 : 0;
}

let options: Options | undefined;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  process.exitCode = 2;
}
if (options !== undefined) {
  const enter = !options.proxies && !isInPrivateNetwork() && (await canHavePrivateNetwork());
  process.exitCode = enter ? await runInPrivateNetwork() : await main(options);
}
