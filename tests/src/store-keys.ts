import type { Etcd3 } from "etcd3";

/** The keys of all tickets under a prefix; of one lock, whose name needs no escaping, where it is given. */
export async function ticketKeys(client: Etcd3, prefix = "metasrv", name?: string): Promise<string[]> {
  const below = name === undefined ? "" : `${name}/`;
  return await client.getAll().prefix(`${prefix}/locks/${below}`).keys();
}

/** The keys of all members under a prefix. */
export async function memberKeys(client: Etcd3, prefix = "metasrv"): Promise<string[]> {
  return await client.getAll().prefix(`${prefix}/members/`).keys();
}
