import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "@jest/globals";
import { leakCheck } from "@metasrv/testing";
import { programs } from "../programs.js";
import type { WriteRequest } from "../resource/messages.js";
import { ResourceClient } from "../resource/resource-client.js";
import { startProgram } from "../stage/program.js";

test("the resource outlives clients that go away before they have read its answers", async () => {
  const folder = await mkdtemp(join(tmpdir(), "metasrv-resource-"));
  const path = join(folder, "resource.sock");
  const args = [path, join(folder, "resource.jsonl")];
  const server = await startProgram({ path: programs.resourceServer, args });
  try {
    const writes = Array.from({ length: 50 }, (_, id): WriteRequest => ({
      id,
      ask: "gone",
      lock: "a",
      token: "1",
      floor: "1",
    }));
    for (let client = 0; client < 10; client++) {
      const socket = connect(path);
      await once(socket, "connect");
      for (const write of writes) {
        socket.write(`${JSON.stringify(write)}\n`);
      }
      // Something of an answer has come, and is left unread.
      await once(socket, "readable");
      socket.destroy();
      await once(socket, "close");
    }
    const client = await ResourceClient.connect(path);
    expect(await client.write("next", "a", 2n, 2n)).toBe(true);
    expect(await client.write("late", "a", 1n, 1n)).toBe(false);
    client.close();
  } finally {
    await server.stop();
    await rm(folder, { recursive: true });
  }
});

afterAll(leakCheck());
