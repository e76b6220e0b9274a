import { fileURLToPath } from "node:url";
import { Client, credentials, type MethodDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/** The methods that the benchmark calls: request and response. int64 fields are strings. */
interface EtcdMethods {
  "v3lockpb.Lock/Lock": [{ name: Buffer; lease: string }, { key: Buffer }];
  "v3lockpb.Lock/Unlock": [{ key: Buffer }, object];
  "etcdserverpb.KV/Put": [{ key: Buffer; value: Buffer }, object];
  "etcdserverpb.Lease/LeaseGrant": [{ TTL: string }, { ID: string }];
  "etcdserverpb.Maintenance/Defragment": [object, object];
  "etcdserverpb.Maintenance/Status": [object, { dbSize: string; dbSizeInUse: string }];
}

type Request<Path extends keyof EtcdMethods> = EtcdMethods[Path][0];
type Response<Path extends keyof EtcdMethods> = EtcdMethods[Path][1];

/** Calls etcd's own services by grpc-js, with as little in between as possible. */
export class EtcdRpc {
  readonly #client: Client;

  /** @param address - as host:port */
  constructor(address: string) {
    // Without this, grpc-js would let all clients of one address share one connection.
    this.#client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  }

  /** Ends its connection. */
  close(): void {
    this.#client.close();
  }

  /** A function that calls one method. */
  method<Path extends keyof EtcdMethods>(path: Path): (request: Request<Path>) => Promise<Response<Path>> {
    const method = methods.get(path);
    if (method === undefined) {
      throw new Error(`no method ${path}`);
    }
    const client = this.#client;
    return (request) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          (bytes) => method.responseDeserialize(bytes) as Response<Path>,
          request,
          (error, response) => {
            if (error !== null) {
              reject(error);
            } else if (response === undefined) {
              reject(new Error(`${path} answered nothing`));
            } else {
              resolve(response);
            }
          },
        );
      });
  }
}

const methods = new Map<string, MethodDefinition<object, object>>();
for (const file of ["v3lock.proto", "etcdserver.proto"]) {
  const definitions = loadSync(fileURLToPath(new URL(`../../proto/${file}`, import.meta.url)), { longs: String });
  for (const [service, definition] of Object.entries(definitions)) {
    if ("format" in definition) {
      continue;
    }
    for (const [name, method] of Object.entries(definition)) {
      methods.set(`${service}/${name}`, method);
    }
  }
}
