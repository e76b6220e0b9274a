import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

// Ports below the range from which the kernel takes the ports of outgoing connections (from 32768 on Linux). A port
// that is free while its process restarts must not go to a client, least of all to one that is connecting to this very
// port.
const FIRST_PORT = 12_000;
const LAST_PORT = 32_767;

/** Ports that this process has given out. A port on which nobody listens yet must not be given out again. */
const given = new Set<number>();

/**
 * Finds ports of 127.0.0.1 on which nobody listens, and gives out each once. Another process may take one before it is
 * used, so the caller must be ready to try again with others.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (given.has(port)) {
      continue;
    }
    given.add(port);
    if (await isFree(port)) {
      ports.add(port);
    }
  }
  return [...ports];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen({ port, host: "127.0.0.1", exclusive: true });
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
