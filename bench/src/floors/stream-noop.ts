import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type Command, CommandSchema, type ExchangeRequest, ExchangeRequestSchema, Noop } from "../gen/noop_pb.js";
import type { LockClient } from "../peers/lock-client.js";

/**
 * A Connect stream to a server that does nothing. Each message carries what was asked for in one turn of the event
 * loop. It shows what a lock costs when only its transport is left.
 */
export function openStreamNoop(url: string): LockClient {
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "2", acceptCompression: [] });
  const batches = new Batches();
  const answers = new Map<number, (body: Uint8Array) => void>();
  void (async () => {
    for await (const response of createClient(Noop, transport).exchange(batches.messages())) {
      for (const { id, body } of response.answers) {
        answers.get(id)?.(body);
        answers.delete(id);
      }
    }
  })();
  let lastId = 0;
  const ask = (body: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve) => {
      const id = ++lastId;
      answers.set(id, resolve);
      batches.add(create(CommandSchema, { id, body }));
    });
  return {
    caller: () =>
      Promise.resolve({
        cycle: async (name) => {
          const key = await ask(Buffer.from(name));
          await ask(key);
        },
      }),
  };
}

/** Gathers the commands of one turn of the event loop into one message. */
class Batches {
  #commands: Command[] = [];
  #wake: (() => void) | undefined;

  add(command: Command): void {
    if (this.#commands.push(command) === 1) {
      setImmediate(() => this.#wake?.());
    }
  }

  async *messages(): AsyncIterable<ExchangeRequest> {
    for (;;) {
      if (this.#commands.length > 0) {
        const commands = this.#commands;
        this.#commands = [];
        yield create(ExchangeRequestSchema, { commands });
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
