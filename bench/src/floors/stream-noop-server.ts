import { createServer } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AnswerSchema, ExchangeResponseSchema, Noop } from "../gen/noop_pb.js";
import { announce } from "./announce.js";

const body = Buffer.alloc(48, 1);

const server = createServer(
  connectNodeAdapter({
    routes: (router) => {
      router.service(Noop, {
        async *exchange(requests) {
          for await (const { commands } of requests) {
            yield create(ExchangeResponseSchema, {
              answers: commands.map(({ id }) => create(AnswerSchema, { id, body })),
            });
          }
        },
      });
    },
  }),
);
server.listen(0, "127.0.0.1", () => {
  announce(server.address());
});
