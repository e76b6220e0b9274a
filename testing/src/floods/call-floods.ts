import { connect, type IncomingHttpHeaders } from "node:http2";
import type { Flood, FloodResult, FloodTarget } from "./flood.js";
import { openSession, openSocket, preface, reset, writeUntilEnded } from "./raw-http2.js";

interface Calls {
  readonly path: string;
  /** The one message of each. */
  readonly message: Buffer;
  readonly count: number;
  /** After how many answers to stop; all by default. */
  readonly answers?: number;
}

const emptyMessage = Buffer.alloc(5);

/** Makes many calls on one connection. */
async function call({ host, port }: FloodTarget, calls: Calls): Promise<FloodResult> {
  const session = connect(`http://${host}:${port}`, { maxSessionMemory: 1_000 });
  session.on("error", () => undefined);
  const answers: Record<string, number> = {};
  let message = "";
  let missing = calls.answers ?? calls.count;
  await new Promise<void>((resolve) => {
    session.once("close", resolve);
    for (let n = 0; n < calls.count; n++) {
      const stream = session.request({
        ":method": "POST",
        "content-type": "application/grpc",
        te: "trailers",
        ":path": calls.path,
      });
      let answered = false;
      const answer = (what: string): void => {
        if (!answered) {
          answered = true;
          answers[what] = (answers[what] ?? 0) + 1;
          if (--missing === 0) {
            resolve();
          }
        }
      };
      const read = (headers: IncomingHttpHeaders): void => {
        const { "grpc-status": status } = headers;
        if (status !== undefined) {
          message = decodeURIComponent(String(headers["grpc-message"]));
          answer(String(status));
        }
      };
      stream.on("response", read);
      stream.on("trailers", read);
      stream.on("data", () => {
        answer("open");
      });
      stream.on("error", (error: NodeJS.ErrnoException) => {
        answer(error.code ?? "broken");
      });
      stream.end(calls.message);
    }
  });
  session.destroy();
  return { answers, message };
}

/** Calls that are cancelled as soon as they were made, one connection after the other. */
const rapidReset: Flood = async (target) => {
  const socket = await openSocket(target);
  socket.write(preface);
  let stream = -1;
  const endedMs = await writeUntilEnded(socket, () =>
    Buffer.concat(
      Array.from({ length: 500 }, () => {
        stream += 2;
        return Buffer.concat([openSession(stream), reset(stream)]);
      }),
    ),
  );
  return { endedMs };
};

/** Many calls on one connection, by name. */
export const callFloods: Readonly<Record<string, Flood>> = {
  "calls that are cancelled at once": rapidReset,
  "10,000 watches": (target) =>
    call(target, { path: "/grpc.health.v1.Health/Watch", message: emptyMessage, count: 10_000 }),
  "10,000 sessions": (target) =>
    call(target, { path: "/metasrv.v1.LockService/Session", message: emptyMessage, count: 10_000 }),
  // For the lock "a", which the first of them holds meanwhile.
  "10,900 waits": (target) =>
    call(target, {
      path: "/metasrv.v1.LockService/Lock",
      message: Buffer.from([0, 0, 0, 0, 3, 10, 1, 97]),
      count: 10_900,
      answers: 901,
    }),
};
