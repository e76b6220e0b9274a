import { MetaError } from "@metasrv/meta-client";

/** What the client's messages call by the names of its options, by which metactl's users do not know it. */
const renamed: readonly (readonly [RegExp, string])[] = [
  [/\bendpoints\[\d+\]/g, "--endpoints"],
  [/\btls\.(ca|cert|key)\b/g, "--$1"],
  [/\bsay allowInsecureToken: true\b/g, "give --insecure-token"],
  [/\btls is given\b/g, "--ca, --cert or --key is given"],
  [/\bleave tls out\b/g, "leave that out"],
  [/\bttlMs\b/g, "--ttl"],
  [/\bwaitMs\b/g, "--wait"],
];

/** What an error says to who uses metactl. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  return error instanceof MetaError
    ? renamed.reduce((text, [option, flag]) => text.replace(option, flag), error.message)
    : error.message;
}
