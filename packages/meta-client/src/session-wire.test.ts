import { constants, type ServerHttp2Stream } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { type SessionResponse, SessionResponseSchema } from "@metasrv/proto/metasrv/v1";
import { backgroundClock, encodeEnvelope, enveloped, writeSessionResponse } from "@metasrv/wire";
import { Connection, type Protocol } from "./connection.js";
import { Credentials } from "./credentials.js";
import { openSessionWire, type SessionWire } from "./session-wire.js";
import { streamServer } from "./testing/http2-server.js";
import { Inbox } from "./testing/inbox.js";
import { checkTls } from "./tls-options.js";

const contentTypes = { connect: "application/connect+proto", grpc: "application/grpc+proto" };

interface Opened {
  readonly wire: SessionWire;
  readonly server: ServerHttp2Stream;
  readonly messages: Inbox<string>;
  readonly closed: Promise<ConnectError | undefined>;
}

/** Opens a wire to a server whose side of the stream the test plays. */
async function withWire(
  protocol: Protocol,
  body: (opened: Opened) => Promise<void>,
  take: (message: SessionResponse) => void = () => undefined,
): Promise<void> {
  const streams = new Inbox<ServerHttp2Stream>();
  await using server = await streamServer((stream) => {
    streams.push(stream);
  });
  const connection = new Connection({
    endpoint: `http://${server.authority}`,
    protocol,
    tls: checkTls(undefined),
    credentials: new Credentials(),
    clock: backgroundClock,
    connectTimeoutMs: 20_000,
    pingIntervalMs: 20_000,
    pingTimeoutMs: 10_000,
  });
  const messages = new Inbox<string>();
  let onClosed: (error: ConnectError | undefined) => void = () => undefined;
  const closed = new Promise<ConnectError | undefined>((resolve) => (onClosed = resolve));
  const wire = await openSessionWire(connection, {
    message: (message) => {
      take(message);
      messages.push(message.draining ? "draining" : "a message");
    },
    drained: () => undefined,
    closed: onClosed,
  });
  try {
    await body({ wire, server: await streams.next(), messages, closed });
  } finally {
    connection.end();
  }
}

const greeting = encodeEnvelope(create(SessionResponseSchema, { draining: true }), writeSessionResponse);

describe.each<Protocol>(["connect", "grpc"])("a session's wire over %s", (protocol) => {
  const accept = (server: ServerHttp2Stream): void => {
    server.respond({ ":status": 200, "content-type": contentTypes[protocol] });
  };

  test("carries messages both ways", async () => {
    await withWire(protocol, async ({ wire, server, messages }) => {
      accept(server);
      wire.write(Buffer.from("ask"));
      const [chunk] = await new Promise<Buffer[]>((resolve) =>
        server.once("data", (...data: Buffer[]) => {
          resolve(data);
        }),
      );
      expect(chunk).toEqual(enveloped(Buffer.from("ask")));
      server.write(greeting);
      expect(await messages.next()).toBe("draining");
    });
  });

  test("is refused by what is no RPC service, such as a proxy", async () => {
    await withWire(protocol, async ({ server, closed }) => {
      server.respond({ ":status": 503, "content-type": "text/html" });
      server.end("<html>");
      expect(await closed).toMatchObject({ code: Code.Unavailable, rawMessage: "HTTP 503" });
    });
  });

  test.each([
    ["cut off before an answer", (): void => undefined],
    ["cut off after one", accept],
  ])("is %s", async (_, before) => {
    await withWire(protocol, async ({ server, closed }) => {
      before(server);
      server.session?.destroy();
      expect(await closed).toMatchObject({ code: Code.Unavailable });
    });
  });

  test("is over with what a message could not be taken for", async () => {
    const refuse = (): void => {
      throw new Error("not understood");
    };
    await withWire(
      protocol,
      async ({ server, closed }) => {
        accept(server);
        server.on("error", () => undefined);
        const reset = new Promise((resolve) =>
          server.once("close", () => {
            resolve(server.rstCode);
          }),
        );
        server.write(greeting);
        expect(await closed).toMatchObject({ rawMessage: "not understood" });
        expect(await reset).toBe(constants.NGHTTP2_CANCEL);
      },
      refuse,
    );
  });
});

describe("a session's wire ends", () => {
  const answered = { ":status": 200, "content-type": contentTypes.connect };
  const last = (json: string): Buffer => {
    const envelope = enveloped(Buffer.from(json));
    envelope[0] = 2;
    return envelope;
  };

  test.each([
    ["well", last("{}"), undefined],
    ["with an error", last('{"error":{"code":"unavailable","message":"stopping"}}'), { code: Code.Unavailable }],
    ["without a word", Buffer.alloc(0), { code: Code.Unavailable, rawMessage: "the session was cut off" }],
  ])("over connect, %s", async (_, bytes, expected) => {
    await withWire("connect", async ({ server, messages, closed }) => {
      server.respond(answered);
      server.write(greeting);
      server.end(bytes);
      const error = await closed;
      if (expected === undefined) {
        expect(error).toBeUndefined();
      } else {
        expect(error).toMatchObject(expected);
      }
      expect(messages.all).toEqual(["draining"]);
    });
  });

  test.each([
    ["well", { "grpc-status": "0" }, undefined],
    [
      "with an error",
      { "grpc-status": "14", "grpc-message": "stopping" },
      { code: Code.Unavailable, rawMessage: "stopping" },
    ],
    ["without a word", {}, { code: Code.Unavailable, rawMessage: "the session was cut off" }],
  ])("over grpc, %s", async (_, trailers, expected) => {
    await withWire("grpc", async ({ server, closed }) => {
      server.respond({ ":status": 200, "content-type": contentTypes.grpc }, { waitForTrailers: true });
      server.on("wantTrailers", () => {
        server.sendTrailers(trailers);
      });
      server.end(greeting);
      const error = await closed;
      if (expected === undefined) {
        expect(error).toBeUndefined();
      } else {
        expect(error).toMatchObject(expected);
      }
    });
  });

  test("over grpc, with an error at once", async () => {
    await withWire("grpc", async ({ server, closed }) => {
      const error = { "grpc-status": "12", "grpc-message": "no such method" };
      server.respond({ ":status": 200, "content-type": contentTypes.grpc, ...error }, { endStream: true });
      expect(await closed).toMatchObject({ code: Code.Unimplemented });
    });
  });

  test("without being told of it when it is cancelled", async () => {
    await withWire("connect", async ({ wire, server, closed }) => {
      server.on("error", () => undefined);
      const reset = new Promise((resolve) =>
        server.once("close", () => {
          resolve(server.rstCode);
        }),
      );
      wire.cancel();
      expect(await reset).toBe(constants.NGHTTP2_CANCEL);
      expect(await Promise.race([closed, Promise.resolve("not told")])).toBe("not told");
      expect(wire.writable).toBe(false);
    });
  });
});
