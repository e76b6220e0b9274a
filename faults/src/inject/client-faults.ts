import type { Fault } from "./fault.js";

/** What happens to the processes that use the locks. */
export const clientFaults: readonly Fault[] = [
  {
    kind: "client-kill",
    title: "kill -9 of a client process, another one started after 1 s",
    async inject({ stage, random, wait }) {
      const client = random.pick(stage.clients);
      await client.kill();
      await wait(1_000);
      await client.start(random.seed());
      return client.name;
    },
  },
  {
    kind: "client-pause",
    title: "SIGSTOP of a client process for 15 s, longer than its TTLs",
    async inject({ stage, random, wait }) {
      const client = random.pick(stage.clients);
      await client.signal("SIGSTOP");
      try {
        await wait(15_000);
      } finally {
        await client.signal("SIGCONT");
      }
      return client.name;
    },
  },
];
