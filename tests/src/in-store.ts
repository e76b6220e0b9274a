import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { readTickets, showLockName, type Ticket } from "@metasrv/metasrv";
import { EntrySchema } from "@metasrv/proto/metasrv/store/v1";
import type { Etcd3 } from "etcd3";

const timeoutMs = 10_000;

/** The tickets that the etcd at `endpoint` has under a prefix; of one lock, if a name is given. */
export async function ticketsIn(endpoint: string, prefix = "metasrv", name?: string): Promise<Ticket[]> {
  const tickets = await readTickets({ hosts: [endpoint], prefix, timeoutMs });
  return name === undefined ? tickets : tickets.filter((ticket) => showLockName(ticket.name) === name);
}

/** As {@link ticketsIn}, each as a text that names it. */
export async function ticketTextsIn(endpoint: string, prefix?: string, name?: string): Promise<string[]> {
  const tickets = await ticketsIn(endpoint, prefix, name);
  return tickets.map((ticket) => `${showLockName(ticket.name)} ${ticket.token}${ticket.holds ? "" : " waiting"}`);
}

/** The keys of all members under a prefix. */
export async function memberKeys(client: Etcd3, prefix = "metasrv"): Promise<string[]> {
  return await client.getAll().prefix(`${prefix}/@/members/`).keys();
}

/** The keys of all entries of the log under a prefix. */
export async function entryKeys(client: Etcd3, prefix = "metasrv"): Promise<string[]> {
  return await client.getAll().prefix(`${prefix}/@/log/`).keys();
}

/**
 * Puts an entry into the log as a member of that id would. There need not be such a member. @returns the entry's key
 */
export async function putEntry(
  client: Etcd3,
  entry: MessageInitShape<typeof EntrySchema>,
  { prefix = "metasrv", memberId = "1", sequence = 1 } = {},
): Promise<string> {
  const key = `${prefix}/@/log/${memberId}/${sequence.toString().padStart(16, "0")}`;
  await client.put(key).value(Buffer.from(toBinary(EntrySchema, create(EntrySchema, entry))));
  return key;
}
