import { describe, expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import type { MetaClientOptions } from "./client-options.js";
import type { Member } from "./member.js";
import { MetaClient } from "./meta-client.js";
import { UnexpectedError } from "./meta-errors.js";
import { granted, ScriptedChannel, unlocked } from "./testing/scripted-channel.js";

const startedAt = new Date(0);

function member(id: string, address: string): Member {
  return { id, address, version: "1.0.0", role: "follower", startedAt };
}

/** A cluster that the test plays: every channel that a client makes, and what its servers answer. */
class Cluster {
  readonly clock = new ManualClock();
  readonly channels: ScriptedChannel[] = [];
  /** By which token each channel is known, in the order in which they were made. */
  readonly told: Promise<[endpoint: string, token: string | undefined]>[] = [];
  random = (): number => 0;
  readonly #options: Partial<MetaClientOptions>;

  constructor(options: Partial<MetaClientOptions> = {}) {
    this.#options = options;
  }

  client(endpoints: string[]): MetaClient {
    return new MetaClient(
      { endpoints, ...this.#options },
      {
        clock: this.clock,
        random: () => this.random(),
        createChannel: (endpoint, { credentials }) => {
          this.told.push(credentials.headers().then((headers) => [endpoint, headers.authorization]));
          const channel = new ScriptedChannel(endpoint, this.clock);
          channel.locks.always((call) => {
            call.answer(granted());
          });
          channel.unlocks.always((call) => {
            call.answer(unlocked());
          });
          this.channels.push(channel);
          return channel;
        },
      },
    );
  }

  /** All channels to that endpoint so far. */
  to(endpoint: string): ScriptedChannel[] {
    return this.channels.filter((channel) => channel.endpoint === endpoint);
  }

  get endpoints(): string[] {
    return this.channels.map(({ endpoint }) => endpoint);
  }

  /** The last channel to that endpoint. */
  last(endpoint: string): ScriptedChannel {
    const channel = this.to(endpoint).at(-1);
    if (channel === undefined) {
      throw new Error(`nobody has gone to ${endpoint}`);
    }
    return channel;
  }

  /** The endpoint at which locks are asked for now. */
  async used(meta: MetaClient): Promise<string> {
    const before = this.channels.map(({ locks }) => locks.all.length);
    await (await meta.lock("x")).release();
    return this.channels.find(({ locks }, index) => locks.all.length > (before[index] ?? 0))?.endpoint ?? "none";
  }

  /** A server tells of the members. */
  async tell(endpoint: string, ...members: Member[]): Promise<void> {
    this.last(endpoint).watches.all.at(-1)?.request(members);
    await settled();
  }

  /** The server at a member's address answers with these members. The address is good if the member is among them. */
  async verify(endpoint: string, ...members: Member[]): Promise<void> {
    await this.clock.advance(1_000);
    await this.tell(endpoint, ...members);
  }
}

const [a, b, c] = [member("1", "a:3002"), member("2", "b:3002"), member("3", "c:3002")] as const;

describe("a client with a token", () => {
  const [near, far] = [member("1", "127.0.0.1:3002"), member("2", "10.0.0.2:3002")] as const;

  test("shows it to no member before that has proved to be of the cluster", async () => {
    const cluster = new Cluster({ token: "secret" });
    const meta = cluster.client(["https://a:3002"]);
    await cluster.used(meta);
    await cluster.tell("https://a:3002", a, b);
    await cluster.clock.advance(1_000);
    expect(await Promise.all(cluster.told)).toEqual([
      ["https://a:3002", "Bearer secret"],
      ["https://b:3002", undefined],
    ]);
    await cluster.verify("https://b:3002", a, b);
    expect((await Promise.all(cluster.told)).slice(2)).toEqual([["https://b:3002", "Bearer secret"]]);
    await meta.close();
  });

  test.each([
    [false, ["http://127.0.0.1:3002"]],
    [true, ["http://127.0.0.1:3002", "http://10.0.0.2:3002"]],
  ])("goes to members without TLS elsewhere only if that is allowed: %s", async (allowInsecureToken, expected) => {
    const cluster = new Cluster({ token: "secret", allowInsecureToken });
    const meta = cluster.client(["http://127.0.0.1:3002"]);
    await cluster.used(meta);
    await cluster.tell("http://127.0.0.1:3002", near, far);
    await cluster.clock.advance(1_000);
    expect(cluster.endpoints).toEqual(expected);
    await meta.close();
  });
});

describe("a client that discovers", () => {
  test("asks nobody before the first call, and one server once from then on", async () => {
    const cluster = new Cluster();
    const meta = cluster.client(["http://a:3002", "http://b:3002"]);
    await cluster.clock.advance(60_000);
    const watches = (): number => cluster.channels.reduce((sum, { watches: { all } }) => sum + all.length, 0);
    expect(watches()).toBe(0);
    await cluster.used(meta);
    await cluster.used(meta);
    expect(watches()).toBe(1);
    await meta.close();
    expect(cluster.clock.timers).toBe(0);
  });

  test("uses the members it is told of, once their addresses have proved good", async () => {
    const cluster = new Cluster();
    const meta = cluster.client(["http://a:3002"]);
    await cluster.used(meta);
    cluster.random = () => 0.99;
    await cluster.tell("http://a:3002", a, b, c);
    expect(await cluster.used(meta)).toBe("http://a:3002");
    await cluster.verify("http://b:3002", a, b, c);
    await cluster.verify("http://c:3002", a, b, c);
    // Each check has a channel of its own, which is closed after it.
    expect(cluster.to("http://c:3002").map(({ closed }) => closed)).toEqual([true, false]);
    // Members are chosen at random among all.
    expect(await cluster.used(meta)).toBe("http://c:3002");
    expect(cluster.last("http://a:3002").left).toEqual(["at leisure"]);
    await meta.close();
    expect(cluster.channels.every(({ closed }) => closed)).toBe(true);
    expect(cluster.clock.timers).toBe(0);
  });

  test("stays where it is when endpoints are to be used as listed, and knows where to go from there", async () => {
    const cluster = new Cluster({ firstEndpoint: "listed" });
    const meta = cluster.client(["http://a:3002"]);
    await cluster.used(meta);
    cluster.random = () => 0.99;
    await cluster.tell("http://a:3002", a, b);
    await cluster.verify("http://b:3002", a, b);
    expect(await cluster.used(meta)).toBe("http://a:3002");
    const members = meta.members();
    (await cluster.last("http://a:3002").listings.next()).fail();
    (await cluster.last("http://b:3002").listings.next()).answer([a, b]);
    await members;
    await meta.close();
  });

  test("does not use an address that leads elsewhere or nowhere, and tries it again, ever more rarely", async () => {
    const cluster = new Cluster();
    const meta = cluster.client(["http://a:3002"]);
    await cluster.used(meta);
    cluster.random = () => 0.99;
    await cluster.tell("http://a:3002", a, b, c);
    // Seen from here, another cluster is behind the same address.
    await cluster.verify("http://b:3002", member("77", "b:3002"));
    for (let minute = 0; minute < 10; minute++) {
      cluster.to("http://c:3002").forEach(({ watches }) => {
        watches.always((call) => {
          call.fail("connect ETIMEDOUT", false);
        });
      });
      await cluster.clock.advance(60_000);
    }
    expect(await cluster.used(meta)).toBe("http://a:3002");
    const attempts = cluster.to("http://c:3002").length;
    expect(attempts).toBeGreaterThan(10);
    expect(attempts).toBeLessThan(200);
    await meta.close();
    expect(cluster.clock.timers).toBe(0);
  });

  test("takes a given endpoint and a member of the same host and port for one", async () => {
    const cluster = new Cluster();
    const meta = cluster.client(["https://A:3002/", "https://b:443"]);
    await cluster.used(meta);
    const [using] = cluster.channels.filter(({ watches }) => watches.all.length > 0);
    await cluster.tell(using?.endpoint ?? "", a, member("2", "b:443"));
    expect(cluster.endpoints).toEqual(["https://a:3002", "https://b"]);
    await meta.close();
  });

  test.each(["0.0.0.0:3002", "[::]:3002", "", "no address", "a:3002/path"])(
    "does not even try what leads nowhere: %j",
    async (address) => {
      const cluster = new Cluster();
      const meta = cluster.client(["http://a:3002"]);
      await cluster.used(meta);
      await cluster.tell("http://a:3002", a, member("2", address));
      await cluster.clock.advance(10_000);
      expect(cluster.endpoints).toEqual(["http://a:3002"]);
      await meta.close();
    },
  );

  test("uses a member that joins later, and leaves one that is gone", async () => {
    const cluster = new Cluster();
    const meta = cluster.client(["http://a:3002"]);
    await cluster.used(meta);
    await cluster.tell("http://a:3002", a);
    await cluster.tell("http://a:3002", a, b);
    await cluster.verify("http://b:3002", a, b);
    expect(await cluster.used(meta)).toBe("http://a:3002");
    const joined = cluster.last("http://b:3002");
    expect(joined.closed).toBe(false);
    await cluster.tell("http://a:3002", a);
    expect(joined.left).toEqual(["now"]);
    expect(joined.closed).toBe(true);
    // A server that knows of no member at all is not believed.
    await cluster.tell("http://a:3002");
    expect(await cluster.used(meta)).toBe("http://a:3002");
    await meta.close();
  });

  describe.each([{ endpoints: ["http://a:3002"] }, { endpoints: ["http://a:3002", "http://b:3002"] }])(
    "when a server joins, given $endpoints",
    ({ endpoints }) => {
      test("goes there for one in so many, at leisure, once its address has proved good", async () => {
        const cluster = new Cluster();
        const meta = cluster.client(endpoints);
        await cluster.used(meta);
        await cluster.tell("http://a:3002", a);
        cluster.random = () => 0.51;
        await cluster.tell("http://a:3002", a, b);
        expect(await cluster.used(meta)).toBe("http://a:3002");
        await cluster.verify("http://b:3002", a, b);
        expect(await cluster.used(meta)).toBe("http://b:3002");
        expect(cluster.last("http://a:3002").left).toEqual(["at leisure"]);
        await meta.close();
        expect(cluster.clock.timers).toBe(0);
      });

      test("goes there also when it came back before its end was known", async () => {
        const cluster = new Cluster();
        const meta = cluster.client(endpoints);
        await cluster.used(meta);
        await cluster.tell("http://a:3002", a);
        await cluster.tell("http://a:3002", a, b);
        await cluster.verify("http://b:3002", a, b);
        expect(await cluster.used(meta)).toBe("http://a:3002");
        cluster.random = () => 0.51;
        const again = member("22", "b:3002");
        await cluster.tell("http://a:3002", a, b, again);
        await cluster.verify("http://b:3002", a, b, again);
        expect(await cluster.used(meta)).toBe("http://b:3002");
        await cluster.tell("http://a:3002", a, again);
        await cluster.clock.advance(10_000);
        expect(await cluster.used(meta)).toBe("http://b:3002");
        await meta.close();
        expect(cluster.clock.timers).toBe(0);
      });

      test("stays for all others", async () => {
        const cluster = new Cluster();
        const meta = cluster.client(endpoints);
        await cluster.used(meta);
        await cluster.tell("http://a:3002", a);
        cluster.random = () => 0.49;
        await cluster.tell("http://a:3002", a, b);
        await cluster.verify("http://b:3002", a, b);
        expect(await cluster.used(meta)).toBe("http://a:3002");
        await meta.close();
      });

      test("stays when endpoints are to be used as listed", async () => {
        const cluster = new Cluster({ firstEndpoint: "listed" });
        const meta = cluster.client(endpoints);
        await cluster.used(meta);
        await cluster.tell("http://a:3002", a);
        cluster.random = () => 0.99;
        await cluster.tell("http://a:3002", a, b);
        await cluster.verify("http://b:3002", a, b);
        expect(await cluster.used(meta)).toBe("http://a:3002");
        await meta.close();
      });
    },
  );

  test("watches at another server when the watch breaks, after a pause", async () => {
    const cluster = new Cluster();
    const meta = cluster.client(["http://a:3002", "http://b:3002"]);
    await cluster.used(meta);
    cluster.last("http://a:3002").watches.all[0]?.fail("this server is stopping");
    await settled();
    expect(cluster.last("http://b:3002").watches.all).toHaveLength(0);
    await cluster.clock.advance(1_000);
    expect(cluster.last("http://b:3002").watches.all).toHaveLength(1);
    await meta.close();
    expect(cluster.clock.timers).toBe(0);
  });

  test("uses the endpoints that were given when servers do not know their members", async () => {
    const cluster = new Cluster();
    const meta = cluster.client(["http://a:3002", "http://b:3002"]);
    for (const { watches } of cluster.channels) {
      watches.always((call) => {
        call.reject(new UnexpectedError("unimplemented"));
      });
    }
    expect(await cluster.used(meta)).toBe("http://a:3002");
    await cluster.clock.advance(300_000);
    const asked = cluster.channels.map(({ watches }) => watches.all.length);
    expect(Math.max(...asked)).toBeLessThan(10);
    expect(await cluster.used(meta)).toBe("http://a:3002");
    await meta.close();
  });

  test("does not when it is told not to", async () => {
    const cluster = new Cluster({ discover: false });
    const meta = cluster.client(["http://a:3002"]);
    await cluster.used(meta);
    await cluster.clock.advance(60_000);
    expect(cluster.last("http://a:3002").watches.all).toHaveLength(0);
    await meta.close();
  });

  test("spreads evenly over the members, wherever it began", async () => {
    const counts = new Map<string, number>();
    let state = 1;
    const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 300; round++) {
      const cluster = new Cluster();
      cluster.random = random;
      const meta = cluster.client(["http://a:3002"]);
      await cluster.used(meta);
      await cluster.tell("http://a:3002", a, b, c);
      await cluster.clock.advance(0);
      await cluster.tell("http://b:3002", a, b, c);
      await cluster.tell("http://c:3002", a, b, c);
      const used = await cluster.used(meta);
      counts.set(used, (counts.get(used) ?? 0) + 1);
      await meta.close();
    }
    expect(counts.size).toBe(3);
    for (const count of counts.values()) {
      expect(Math.abs(count - 100)).toBeLessThan(40);
    }
  });
});

describe("members", () => {
  test("asks a server, and another when that fails", async () => {
    const cluster = new Cluster();
    const meta = cluster.client(["http://a:3002", "http://b:3002"]);
    const members = meta.members();
    (await cluster.last("http://a:3002").listings.next()).fail();
    (await cluster.last("http://b:3002").listings.next()).answer([a, b]);
    await expect(members).resolves.toEqual([a, b]);
    await meta.close();
    await expect(meta.members()).rejects.toMatchObject({ code: "CLOSED" });
  });
});
