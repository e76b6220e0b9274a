import { fileURLToPath } from "node:url";

// Also when this file is run from its source, as tests do: the programs are always the built ones.
function program(name: string): string {
  return fileURLToPath(new URL(`../dist/processes/${name}.js`, import.meta.url));
}

/** The programs that a campaign starts, besides etcd and metasrv. */
export const programs = {
  lockClient: program("lock-client"),
  resourceServer: program("resource-server"),
  storeProbe: program("store-probe"),
} as const;
