import { ManualClock } from "@metasrv/wire/testing";
import type { MetaClientOptions } from "../client-options.js";
import { MetaClient } from "../meta-client.js";
import { ScriptedChannel } from "./scripted-channel.js";

/** A client on a fake clock, and the channels to its endpoints, `a` in use first. */
export interface ScriptedClient {
  readonly meta: MetaClient;
  readonly clock: ManualClock;
  readonly a: ScriptedChannel;
  readonly b: ScriptedChannel;
}

/** Makes a client of two endpoints whose servers are the test. */
export function scriptedClient(options: Partial<MetaClientOptions> = {}): ScriptedClient {
  const clock = new ManualClock();
  const a = new ScriptedChannel("http://a:3002", clock);
  const b = new ScriptedChannel("http://b:3002", clock);
  const endpoints = [a.endpoint, b.endpoint];
  const meta = new MetaClient(
    { endpoints, firstEndpoint: "listed", owner: "tester", ...options },
    { clock, random: () => 0.5, createChannel: (endpoint) => (endpoint === a.endpoint ? a : b) },
  );
  return { meta, clock, a, b };
}
