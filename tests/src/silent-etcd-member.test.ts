import { afterAll, expect, test } from "@jest/globals";
import { type CommandLog, createEtcdLog } from "@metasrv/metasrv";
import { leakCheck, startEtcdCluster } from "@metasrv/testing";
import { systemClock } from "@metasrv/wire";
import { pino } from "pino";

const nodes = 12;
const keepAlives = 3;

/** Whether a node's lease is kept alive a few times, or is lost before. */
type Outcome = "kept" | "lost";

/** Lets a node join. `ended` is told of the outcome, perhaps more than once. */
async function join(hosts: readonly string[], node: number, ended: (outcome: Outcome) => void): Promise<CommandLog> {
  const log = createEtcdLog({
    hosts,
    prefix: `node-${node}`,
    clock: systemClock,
    logger: pino({ level: "silent" }),
    fatal: (error) => {
      throw error;
    },
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 10_000,
    memberTtlSeconds: 4,
    quotaBytes: 2 * 1024 ** 3,
  });
  // The first extension comes from joining, so it does not count.
  let extensions = -1;
  await log.join(
    { address: `127.0.0.1:${node + 1}`, version: "0", startedUnixMs: 0 },
    {
      joined: () => undefined,
      extended: () => {
        extensions++;
        if (extensions === keepAlives) {
          ended("kept");
        }
      },
      lost: () => {
        ended("lost");
      },
    },
  );
  return log;
}

test("no node loses its membership because one of three etcd members is silent", async () => {
  await using etcd = await startEtcdCluster(3);
  const leader = await etcd.leader();
  const silent = etcd.members.find((member) => member !== leader);
  const joining: Promise<CommandLog>[] = [];
  const outcomes = Array.from(
    { length: nodes },
    (_, node) => new Promise<Outcome>((resolve) => joining.push(join(etcd.endpoints, node, resolve))),
  );
  const logs = await Promise.all(joining);
  try {
    await silent?.kill("SIGSTOP");
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["kept"]));
  } finally {
    await silent?.kill("SIGCONT");
    await Promise.all(logs.map((log) => log.close()));
  }
});

afterAll(leakCheck());
