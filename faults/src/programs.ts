import { fileURLToPath } from "node:url";

// The path of a built program, also when this file is run from its source, as in tests.
function program(name: string): string {
  return fileURLToPath(new URL(`../dist/processes/${name}.js`, import.meta.url));
}

/** The programs that a campaign starts, besides etcd and metasrv. */
export const programs = {
  lockClient: program("lock-client"),
  resourceServer: program("resource-server"),
  storeProbe: program("store-probe"),
} as const;
