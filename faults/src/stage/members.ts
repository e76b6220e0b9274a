import { fromBinary } from "@bufbuild/protobuf";
import { MemberSchema } from "@metasrv/proto/metasrv/store/v1";
import type { Etcd3 } from "etcd3";

const prefix = "metasrv/@/members/";

/** The address of each member, by its id. A node that was killed may have two members for a while. */
export async function memberAddresses(store: Etcd3): Promise<Map<string, string>> {
  const members = await store.getAll().prefix(prefix).buffers();
  return new Map(
    Object.entries(members).map(([key, value]) => [key.slice(prefix.length), fromBinary(MemberSchema, value).address]),
  );
}
