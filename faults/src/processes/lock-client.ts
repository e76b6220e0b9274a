import { setMaxListeners } from "node:events";
import { MetaClient } from "@metasrv/meta-client";
import { Journal } from "../history/journal.js";
import type { LockClientOptions } from "../load/client-options.js";
import { type Role, roles } from "../load/roles.js";
import { Worker } from "../load/worker.js";
import { Random } from "../random.js";
import { ResourceClient } from "../resource/resource-client.js";

// A process of workers, each with a client of its own. They use locks until they are told to end.
const options = JSON.parse(process.argv[2] ?? "") as LockClientOptions;
const journal = new Journal(options.journal);
const resource = await ResourceClient.connect(options.resource);
const random = new Random(options.seed);
const ending = new AbortController();
setMaxListeners(0, ending.signal);

async function run(index: number, role: Role): Promise<void> {
  const name = `${options.name}.${index}`;
  await using client = new MetaClient({ endpoints: options.endpoints });
  const parts = { name, client, journal, resource, random: new Random(random.seed()), ending: ending.signal };
  const worker = new Worker(parts);
  while (!worker.ending) {
    await role(worker);
  }
}

process.once("SIGTERM", () => {
  ending.abort(new Error("the load ends"));
});
console.log("ready");
await Promise.all(
  Array.from({ length: options.workers }, (_, index) => run(index, roles[index % roles.length] ?? roleMissing())),
);
resource.close();
journal.close();

function roleMissing(): never {
  throw new Error("there are no roles");
}
