import { type Etcd, until } from "@metasrv/testing";
import type { Stage } from "../stage/stage.js";
import type { Fault, Scene } from "./fault.js";

async function leaderOf({ etcd }: Stage): Promise<Etcd> {
  const leader = await etcd.leader();
  if (leader === undefined) {
    throw new Error("etcd has no leader; expected one when everything is well");
  }
  return leader;
}

async function followerOf(scene: Scene): Promise<Etcd> {
  const leader = await leaderOf(scene.stage);
  return scene.random.pick(scene.stage.etcd.members.filter((member) => member !== leader));
}

async function killForAWhile(member: Etcd, { wait }: Scene): Promise<string> {
  await member.kill();
  await wait(4_000);
  await member.restart();
  return member.endpoint;
}

async function pauseForAWhile(member: Etcd, { wait }: Scene): Promise<string> {
  await member.kill("SIGSTOP");
  try {
    await wait(6_000);
  } finally {
    await member.kill("SIGCONT");
  }
  return member.endpoint;
}

/** What happens to etcd. */
export const storeFaults: readonly Fault[] = [
  {
    kind: "etcd-leader-kill",
    title: "kill -9 of etcd's leader, started again with its data after 4 s",
    inject: async (scene) => killForAWhile(await leaderOf(scene.stage), scene),
  },
  {
    kind: "etcd-follower-kill",
    title: "kill -9 of a follower of etcd, started again with its data after 4 s",
    inject: async (scene) => killForAWhile(await followerOf(scene), scene),
  },
  {
    kind: "etcd-leader-pause",
    title: "SIGSTOP of etcd's leader for 6 s",
    inject: async (scene) => pauseForAWhile(await leaderOf(scene.stage), scene),
  },
  {
    kind: "etcd-follower-pause",
    title: "SIGSTOP of a follower of etcd for 6 s",
    inject: async (scene) => pauseForAWhile(await followerOf(scene), scene),
  },
  {
    kind: "etcd-leader-cut-off",
    title: "all packets of etcd's leader dropped for 6 s",
    possible: ({ network }) => network.isolateStore !== undefined,
    async inject({ stage, wait }) {
      const leader = await leaderOf(stage);
      const heal = await stage.network.isolateStore?.(stage.etcd.members.indexOf(leader));
      try {
        await wait(6_000);
      } finally {
        await heal?.();
      }
      return leader.endpoint;
    },
  },
  {
    kind: "etcd-compaction",
    title: "all old revisions of etcd compacted",
    async inject({ stage: { store, recorder } }) {
      const { header } = await store.get("faults/none").exec();
      // The recorder must have read what compaction is about to remove.
      await until(() => recorder.revision + 1_000n >= BigInt(header.revision), { what: "the watch to have caught up" });
      const revision = recorder.revision.toString();
      await store.kv.compact({ revision, physical: true });
      return `up to revision ${revision}`;
    },
  },
];
