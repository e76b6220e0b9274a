import { mkdir, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { protocolReference } from "./protocol-reference.js";

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));
const path = `${root}/docs/reference/protocol.md`;
await mkdir(dirname(path), { recursive: true });
await writeFile(path, await protocolReference(root));
