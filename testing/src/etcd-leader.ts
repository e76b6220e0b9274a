import { request } from "node:http";
import type { Etcd } from "./etcd.js";

interface Status {
  readonly memberId: string;
  readonly leader: string;
}

const ANSWERS_WITHIN_MS = 1_000;

/** The member that leads, according to most of the members that answer; undefined while there is none. */
export async function leaderOf<Member extends Pick<Etcd, "endpoint">>(
  members: readonly Member[],
): Promise<Member | undefined> {
  const statuses = await Promise.all(members.map(({ endpoint }) => statusOf(endpoint)));
  const votes = (index: number): number =>
    statuses.filter((status) => status !== undefined && status.leader === statuses[index]?.memberId).length;
  const majority = Math.floor(members.length / 2) + 1;
  return members.find((_, index) => votes(index) >= majority);
}

async function statusOf(endpoint: string): Promise<Status | undefined> {
  return await new Promise((resolve) => {
    const none = (): void => {
      resolve(undefined);
    };
    const options = { method: "POST", agent: false, timeout: ANSWERS_WITHIN_MS } as const;
    const call = request(`http://${endpoint}/v3/maintenance/status`, options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.once("end", () => {
        resolve(parse(text));
      });
    });
    call.once("timeout", () => call.destroy());
    call.once("error", none);
    call.once("close", none);
    call.end("{}");
  });
}

function parse(text: string): Status | undefined {
  try {
    const { header, leader } = JSON.parse(text) as { header?: { member_id?: string }; leader?: string };
    return header?.member_id === undefined ? undefined : { memberId: header.member_id, leader: leader ?? "0" };
  } catch {
    return undefined;
  }
}
