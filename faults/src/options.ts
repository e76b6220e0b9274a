import { parseArgs } from "node:util";

/** What was asked for on the command line. */
export interface Options {
  /** How long faults are mixed; 0: only those that were asked for by number. */
  readonly minutes: number;
  /** How many times each of these kinds comes first. */
  readonly first: readonly { readonly kind: string; readonly times: number }[];
  readonly seed: number;
  /** Whether to do without network namespaces even where they are possible. */
  readonly proxies: boolean;
  /** Whether to keep the journals. */
  readonly keep: boolean;
}

/** How to call it. */
export const usage = `usage: npm run faults -- [options]
  --minutes N      mix all faults for N minutes (3, or 0 with one of the following)
  --kills N        first, kill -9 a node N times
  --pauses N       first, pause a node for 30 s N times
  --rollings N     first, restart all nodes in turn N times
  --fault KIND=N   first, this fault N times; may be repeated
  --seed S         the same faults in the same order again
  --proxies        no network namespaces: all on the loopback, links through proxies
  --keep           keep the journals, as is done anyway when something is wrong`;

/** @throws Error that says which option is wrong */
export function parseOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: text,
      kills: text,
      pauses: text,
      rollings: text,
      fault: { type: "string", multiple: true },
      seed: text,
      proxies: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
    },
  });
  const first = [
    { kind: "metasrv-kill", times: count("--kills", values.kills ?? "0") },
    { kind: "metasrv-pause", times: count("--pauses", values.pauses ?? "0") },
    { kind: "rolling-restart", times: count("--rollings", values.rollings ?? "0") },
    ...(values.fault ?? []).map((given) => {
      const [kind = "", times = "1"] = given.split("=");
      return { kind, times: count("--fault", times) };
    }),
  ].filter(({ times }) => times > 0);
  const minutes = Number(values.minutes ?? (first.length > 0 ? 0 : 3));
  if (!(minutes >= 0)) {
    throw new Error(`--minutes: expected a number, got "${values.minutes ?? ""}"`);
  }
  return {
    minutes,
    first,
    seed: values.seed === undefined ? Date.now() % 1_000_000 : count("--seed", values.seed),
    proxies: values.proxies,
    keep: values.keep,
  };
}

function count(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) {
    throw new Error(`${option}: expected a whole number, got "${text}"`);
  }
  return number;
}
