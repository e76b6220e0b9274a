import { runCampaign } from "./campaign.js";
import { allFaults, faultOf } from "./inject/catalogue.js";
import { createNamespaceNetwork } from "./network/namespace-network.js";
import {
  canHavePrivateNetwork,
  hideNamespaceNames,
  isInPrivateNetwork,
  runInPrivateNetwork,
} from "./network/private-network.js";
import { proxyNetwork } from "./network/proxy-network.js";
import { type Options, parseOptions, usage } from "./options.js";
import { circumstances } from "./report/circumstances.js";
import { printSummary } from "./report/print-summary.js";
import { judge } from "./report/promises.js";
import { writeDocument, writeResults } from "./report/write-results.js";

/** A campaign of at least this many minutes is published. */
const fullMinutes = 3;

const sizes = { storeMembers: 3, nodes: 3, clients: 3, workersPerClient: 31 };

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
  printSummary(summary, verdicts);
  const command = ["npm run faults --", ...process.argv.slice(2), ...(seedGiven(process.argv) ? [] : ["--seed", seed])];
  const report = { summary, verdicts, command: command.join(" "), circumstances: await circumstances() };
  console.log(`written: ${await writeResults(report)}`);
  if (minutes >= fullMinutes && network.kind === "namespaces") {
    console.log(`written: ${await writeDocument(report)}`);
  }
  return summary.violations.length > 0 || verdicts.some(({ kept }) => !kept) ? 1 : 0;
}

function seedGiven(args: readonly string[]): boolean {
  return args.some((arg) => arg.startsWith("--seed"));
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
  try {
    process.exitCode = enter ? await runInPrivateNetwork() : await main(options);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
