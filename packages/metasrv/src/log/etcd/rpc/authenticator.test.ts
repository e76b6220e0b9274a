import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { leakCheck } from "@metasrv/testing";
import { enveloped, systemClock } from "@metasrv/wire";
import { EtcdProto } from "../../../../test-support/etcd-proto.js";
import { answer, Far } from "../../../../test-support/grpc-far.js";
import { createEtcdClient } from "./connected-etcd-client.js";
import type { EtcdClient } from "./etcd-client.js";

const nothing = { compare: [], success: [], failure: [] };
const proto = new EtcdProto();
const txnAnswer = enveloped(proto.encode("etcdserverpb.TxnResponse", { succeeded: true }));

let folder: string;
let passwordFile: string;
let far: Far;
let client: EtcdClient;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-authenticator-"));
  passwordFile = join(folder, "password");
  await writeFile(passwordFile, "secret\n");
  far = await Far.start();
  client = createEtcdClient({ hosts: [far.host], access: { username: "locks", passwordFile }, clock: systemClock });
});

afterEach(async () => {
  client.close();
  await far[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

afterAll(leakCheck());

test.each([
  ["16", "etcdserver: invalid auth token"],
  ["3", "etcdserver: revision of auth store is old"],
  ["3", "etcdserver: user name is empty"],
])(
  "many calls that fail with %s %s at once ask for one token, and are made once more with it",
  async (status, text) => {
    let tokens = 0;
    far.answer = (stream, { ":path": path, token }) => {
      stream.once("data", () => {
        if (path === "/etcdserverpb.Auth/Authenticate") {
          tokens++;
          answer(stream, [enveloped(proto.encode("etcdserverpb.AuthenticateResponse", { token: `token-${tokens}` }))]);
        } else if (token === "token-2") {
          answer(stream, [txnAnswer]);
        } else {
          answer(stream, [], { "grpc-status": status, "grpc-message": text });
        }
      });
    };
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.txn(nothing, 5_000)));
    expect(answers.every(({ succeeded }) => succeeded)).toBe(true);
    expect(tokens).toBe(2);
  },
);

test("a wrong password is not sent again and again; another one in the file is, at once", async () => {
  let tokens = 0;
  far.answer = (stream, { ":path": path }) => {
    stream.once("data", (message: Buffer) => {
      if (path !== "/etcdserverpb.Auth/Authenticate") {
        answer(stream, [txnAnswer]);
        return;
      }
      tokens++;
      if (message.includes("another")) {
        answer(stream, [enveloped(proto.encode("etcdserverpb.AuthenticateResponse", { token: "token" }))]);
      } else {
        const text = "etcdserver: authentication failed, invalid user ID or password";
        answer(stream, [], { "grpc-status": "3", "grpc-message": text });
      }
    });
  };
  for (let attempt = 0; attempt < 3; attempt++) {
    await expect(client.txn(nothing, 5_000)).rejects.toThrow(
      'etcd has not the user "locks", or another password for it',
    );
  }
  expect(tokens).toBe(1);
  await writeFile(passwordFile, "another");
  expect((await client.txn(nothing, 5_000)).succeeded).toBe(true);
});
