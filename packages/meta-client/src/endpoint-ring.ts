import type { BackoffOptions, Clock } from "@metasrv/wire";
import type { LockChannel } from "./lock-channel.js";

export interface EndpointRingOptions extends CircuitOptions {
  /** Whether a member that joins takes a random place in the order; otherwise it takes the last place. */
  readonly shuffles: boolean;
  /** Called when another endpoint is in use from now on. */
  readonly onMoved: (from: string, to: string) => void;
  /** @param onDraining - to be called when the server says that it is about to stop */
  readonly createChannel: (endpoint: string, onDraining: () => void) => LockChannel;
}

interface Endpoint {
  readonly channel: LockChannel;
  readonly circuit: Circuit;
}

/**
 * The channels of all endpoints, and which of them is in use. Calls stay with one endpoint until it fails, because
 * moving a lock between servers costs each of them a write.
 */
export class EndpointRing {
  readonly #options: EndpointRingOptions;
  readonly #given: ReadonlySet<string>;
  readonly #endpoints: Endpoint[];
  /** Channels of members that are gone; they still wait for answers. */
  readonly #parting = new Set<LockChannel>();
  /** URLs of the endpoints that are known to be members; empty until one is known. */
  #members: ReadonlySet<string> = new Set();
  #current: Endpoint;
  /** The only endpoint, while its server is about to stop. */
  #draining: Endpoint | undefined;

  /** @param given - URLs in the order in which they are used; the first is used first */
  constructor(given: readonly string[], options: EndpointRingOptions) {
    this.#options = options;
    this.#given = new Set(given);
    this.#endpoints = given.map((endpoint) => this.#create(endpoint));
    const [first] = this.#endpoints;
    if (first === undefined) {
      throw new RangeError("a ring has at least one channel");
    }
    this.#current = first;
  }

  /** How many channels there are. */
  get size(): number {
    return this.#endpoints.length;
  }

  /** The channel in use. */
  get current(): LockChannel {
    return this.#current.channel;
  }

  /** Every channel once: the one in use, then those after it. Channels that failed just now come last. */
  round(): LockChannel[] {
    return this.#ranked().map(({ channel }) => channel);
  }

  /** As {@link round}, without the given one. */
  after(channel: LockChannel): LockChannel[] {
    return this.round().filter((each) => each !== channel);
  }

  /** The channel failed. Another one is in use from now on, unless another call has moved on already. */
  leave(channel: LockChannel): void {
    this.#endpoints.find((each) => each.channel === channel)?.circuit.open();
    if (this.#draining?.channel === channel) {
      this.#draining = undefined;
    }
    if (this.#current.channel === channel) {
      this.#use(this.#ranked().find((each) => each.channel !== channel) ?? this.#current);
    }
  }

  /**
   * Uses these members from now on. Given endpoints that are not members, such as a load balancer, come after them and
   * are never removed.
   *
   * @param members - their URLs
   */
  setMembers(members: Iterable<string>): void {
    this.#members = new Set(members);
    for (const endpoint of this.#members) {
      if (!this.#has(endpoint)) {
        this.#join(endpoint);
      }
    }
    for (const endpoint of [...this.#endpoints]) {
      const url = endpoint.channel.endpoint;
      if (!this.#members.has(url) && !this.#given.has(url)) {
        this.#part(endpoint);
      }
    }
    if (this.#draining?.channel === this.current) {
      this.#drain(this.#draining);
    }
  }

  /** Moves to a random member, each with the same chance. Waits and locks stay where they are. */
  spread(): void {
    const members = this.#endpoints.filter(({ channel }) => this.#members.has(channel.endpoint));
    const chosen = members[Math.floor(this.#options.random() * members.length)];
    if (chosen?.circuit.openUntilMs === 0) {
      this.#goTo(chosen);
    }
  }

  /** Moves to the endpoint of this URL, which was found to be good. Waits and locks stay where they are. */
  use(url: string): void {
    const chosen = this.#endpoints.find(({ channel }) => channel.endpoint === url);
    if (chosen !== undefined) {
      this.#goTo(chosen);
    }
  }

  /** Closes every channel, each within that time. */
  async close(withinMs: number): Promise<void> {
    const channels = [...this.#endpoints.map(({ channel }) => channel), ...this.#parting];
    await Promise.all(channels.map((channel) => channel.close(withinMs)));
  }

  #create(url: string): Endpoint {
    const channel = this.#options.createChannel(url, () => {
      this.#drain(endpoint);
    });
    const endpoint = { channel, circuit: new Circuit(this.#options) };
    return endpoint;
  }

  #goTo(chosen: Endpoint): void {
    if (chosen === this.#current) {
      return;
    }
    const { channel } = this.#current;
    this.#use(chosen);
    void channel.leave("at leisure");
  }

  #use(endpoint: Endpoint): void {
    const before = this.#current;
    this.#current = endpoint;
    if (before !== endpoint) {
      this.#options.onMoved(before.channel.endpoint, endpoint.channel.endpoint);
    }
  }

  #has(url: string): boolean {
    return this.#endpoints.some(({ channel }) => channel.endpoint === url);
  }

  #join(url: string): void {
    const { shuffles, random } = this.#options;
    const place = shuffles ? Math.floor(random() * (this.size + 1)) : this.size;
    this.#endpoints.splice(place, 0, this.#create(url));
  }

  #part(endpoint: Endpoint): void {
    const { channel } = endpoint;
    this.leave(channel);
    this.#endpoints.splice(this.#endpoints.indexOf(endpoint), 1);
    this.#parting.add(channel);
    void channel
      .leave("now")
      .then(() => channel.close(0))
      .finally(() => this.#parting.delete(channel));
  }

  /** The server is about to stop. If it is the only one, it stays in use until there is another. */
  #drain(endpoint: Endpoint): void {
    this.#draining = this.size === 1 ? endpoint : undefined;
    if (this.#draining !== undefined) {
      return;
    }
    this.leave(endpoint.channel);
    void endpoint.channel.leave("now");
  }

  #ranked(): Endpoint[] {
    const at = this.#endpoints.indexOf(this.#current);
    const inOrder = [...this.#endpoints.slice(at), ...this.#endpoints.slice(0, at)];
    const ranks = new Map(inOrder.map((endpoint) => [endpoint, this.#rank(endpoint)]));
    return inOrder.sort((one, other) => (ranks.get(one) ?? 0) - (ranks.get(other) ?? 0));
  }

  /**
   * The endpoint with the lowest rank comes first: members before endpoints that are not members, and then endpoints
   * that failed, in the order in which their cool-downs end.
   */
  #rank({ channel, circuit }: Endpoint): number {
    const { openUntilMs } = circuit;
    const isNone = this.#options.shuffles && this.#members.size > 0 && !this.#members.has(channel.endpoint);
    return openUntilMs === 0 && isNone ? Number.MIN_VALUE : openUntilMs;
  }
}

export interface CircuitOptions {
  readonly clock: Clock;
  /** As `Math.random`. */
  readonly random: () => number;
  /** How long an endpoint that failed is not the first choice. The time grows with failures in a row. */
  readonly coolDown: BackoffOptions;
}

/**
 * Remembers that an endpoint failed. It opens with a failure and closes by itself after the cool-down. The cool-down
 * grows with each failure that follows soon after the one before, and has jitter, so that clients do not come back
 * together.
 */
export class Circuit {
  readonly #options: CircuitOptions;
  #openUntilMs = -Infinity;
  #failures = 0;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  /** Until when it is open, on the clock; 0 while it is closed. */
  get openUntilMs(): number {
    return this.#openUntilMs > this.#options.clock.now() ? this.#openUntilMs : 0;
  }

  /** The endpoint failed. Calls that fail together count once. */
  open(): void {
    const { clock, random, coolDown } = this.#options;
    const nowMs = clock.now();
    if (this.#openUntilMs > nowMs) {
      return;
    }
    if (nowMs > this.#openUntilMs + coolDown.maxMs) {
      this.#failures = 0;
    }
    const longestMs = Math.min(coolDown.initialMs * 2 ** this.#failures++, coolDown.maxMs);
    this.#openUntilMs = nowMs + longestMs * (0.5 + random() / 2);
  }
}

/** The same things in random order. */
export function shuffled<T>(things: readonly T[], random: () => number): T[] {
  const left = [...things];
  const order: T[] = [];
  while (left.length > 0) {
    order.push(...left.splice(Math.floor(random() * left.length), 1));
  }
  return order;
}
