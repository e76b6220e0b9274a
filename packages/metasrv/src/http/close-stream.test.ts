import { once } from "node:events";
import { connect, constants, createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterAll, expect, test } from "@jest/globals";
import { leakCheck } from "@metasrv/testing";
import { closeStream, endOutsideOfReading } from "./close-stream.js";

afterAll(leakCheck());

/** Calls something from a handler, which runs while Node reads, and tells whether the stream and its session end later only. */
async function ends(act: (stream: ServerHttp2Stream, session: ServerHttp2Session) => void) {
  const server = createServer();
  server.on("session", endOutsideOfReading);
  const seen = new Promise<object>((resolve) => {
    server.on("stream", (stream) => {
      const session = stream.session as ServerHttp2Session;
      stream.on("error", () => undefined);
      act(stream, session);
      const atOnce = stream.closed || stream.destroyed || session.closed || session.destroyed;
      stream.once("close", () => {
        session.once("close", () => {
          resolve({ atOnce, rstCode: stream.rstCode });
        });
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on("error", () => undefined);
  const stream = client.request();
  stream.on("error", () => undefined);
  stream.once("close", () => {
    client.close();
  });
  const result = await seen;
  const closes = once(server, "close");
  client.destroy();
  server.close();
  await closes;
  return result;
}

test("a stream that a handler closes is closed when Node does not read any more", async () => {
  const rstCode = constants.NGHTTP2_ENHANCE_YOUR_CALM;
  const closing = ends((stream) => {
    closeStream(stream, rstCode);
  });
  expect(await closing).toEqual({ atOnce: false, rstCode });
});

test("so is a session that is destroyed", async () => {
  const destroying = ends((_, session) => {
    session.destroy();
  });
  expect(await destroying).toMatchObject({ atOnce: false });
});

test("and one that is closed", async () => {
  const closing = ends((stream, session) => {
    session.close();
    stream.respond({ ":status": 200 }, { endStream: true });
  });
  expect(await closing).toMatchObject({ atOnce: false });
});
