import type { WatchMembersResponse } from "@metasrv/proto/metasrv/v1";
import { createClusterService } from "../../../packages/metasrv/src/api/cluster-service.js";
import { LockError } from "../../../packages/metasrv/src/model/lock-errors.js";
import type { NodeRun } from "../simulated-node.js";
import type { NodeCarrier, NodeEnd } from "./stream-link.js";

/** The real watch of the members over a simulated stream, on which the client says nothing. */
export class NodeMembers implements NodeEnd<never> {
  readonly #abort = new AbortController();

  constructor(run: NodeRun, carrier: NodeCarrier<WatchMembersResponse>) {
    void this.#tell(run, carrier);
  }

  receive(): void {
    throw new TypeError("nothing is said on a watch");
  }

  end(): void {
    this.broken();
  }

  broken(): void {
    this.#abort.abort();
  }

  async #tell(run: NodeRun, { send, over }: NodeCarrier<WatchMembersResponse>): Promise<void> {
    const { signal } = this.#abort;
    const { watchMembers } = createClusterService(run.store.cluster);
    try {
      for await (const message of watchMembers({} as never, { signal } as never)) {
        send({ $typeName: "metasrv.v1.WatchMembersResponse", ...message });
      }
    } catch (error) {
      if (!signal.aborted && !(error instanceof LockError)) {
        throw error;
      }
    }
    send("end");
    over(signal.aborted ? "broken" : "ended");
  }
}
