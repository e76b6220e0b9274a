import type { MetaClient } from "@metasrv/meta-client";
import type { Output } from "./output.js";

/** What a command has besides its own arguments. */
export interface CommandContext {
  readonly output: Output;
  readonly env: NodeJS.ProcessEnv;
  /** By what people recognise this process when it holds a lock. */
  readonly owner: string;
  /** The client, made when it is first asked for. Whoever runs the command closes it. */
  readonly client: () => MetaClient;
}
