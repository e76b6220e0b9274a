import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { LockService } from "@metasrv/proto/metasrv/v1";
import { announce } from "./announce.js";

// The service of metasrv, made with the same library, but with nothing behind it.
const key = Buffer.alloc(48, 1);

const server = createServer(
  connectNodeAdapter({
    routes: (router) => {
      router.service(LockService, {
        lock: () => ({ outcome: { case: "granted", value: { key, token: 1n, ttlMs: 1n } } }),
        unlock: () => ({}),
      });
    },
  }),
);
server.listen(0, "127.0.0.1", () => {
  announce(server.address());
});
