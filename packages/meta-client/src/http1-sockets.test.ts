import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer, get } from "node:https";
import { type AddressInfo, Socket } from "node:net";
import { afterEach, expect, jest, test } from "@jest/globals";
import { createCertificateAuthority } from "@metasrv/testing";
import { systemClock } from "@metasrv/wire";
import { Http1Sockets } from "./http1-sockets.js";
import { checkTls } from "./tls-options.js";

afterEach(() => {
  jest.restoreAllMocks();
});

// Otherwise the kernel keeps the body of a request back until its headers were acknowledged, which shows in time only.
test("a socket of TLS is told to send at once", async () => {
  const authority = await createCertificateAuthority();
  const server = createServer(await authority.issue({ hosts: ["127.0.0.1"] }), (_, response) => response.end());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const setNoDelay = jest.spyOn(Socket.prototype, "setNoDelay");
  const sockets = new Http1Sockets({
    secure: true,
    tls: checkTls({ ca: authority.cert }),
    clock: systemClock,
    connectTimeoutMs: 10_000,
    holds: () => true,
  });

  const { port } = server.address() as AddressInfo;
  const request = get({ host: "127.0.0.1", port, agent: sockets.agent });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  const asked = setNoDelay.mock.calls.filter((_, at) => setNoDelay.mock.contexts[at] === request.socket);
  sockets.abort(new Error("the test is over"));
  await new Promise((resolve) => server.close(resolve));
  expect(asked).toEqual([[true]]);
});
