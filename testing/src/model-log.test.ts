import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import {
  type CommandSchema,
  EntrySchema,
  RemoveCause,
  type TicketContentSchema,
} from "@metasrv/proto/metasrv/store/v1";
import { ModelLog, type ModelTicket } from "./model-log.js";

type Command = NonNullable<MessageInitShape<typeof CommandSchema>["command"]>;
interface Content {
  readonly permits?: number;
  readonly limit?: number;
  readonly owner?: string;
}

const shared = { permits: 1, limit: 2 ** 32 - 1 };

/** A log that one member writes, an entry for each command. */
class Stage {
  readonly removed: (readonly [token: bigint, forced: boolean])[] = [];
  readonly log = new ModelLog(
    {
      created: () => undefined,
      changed: () => undefined,
      removed: ({ token }, _place, forced) => this.removed.push([token, forced]),
    },
    0n,
  );
  #revision = 0;

  /** @returns the token that a ticket got which this command created */
  write(command: Command, content: MessageInitShape<typeof TicketContentSchema> = {}): bigint {
    const revision = ++this.#revision;
    const entry = create(EntrySchema, { commands: [{ command }], contents: [content] });
    this.log.apply("m1", revision, BigInt(revision), toBinary(EntrySchema, entry));
    return BigInt(revision) * 4096n;
  }

  /** Asks for locks as ticket `n`: for the first of them, and `more` says how, and for others. */
  ask(
    n: number,
    locks: readonly string[],
    more: Content & { readonly try?: boolean; readonly attempt?: number } = {},
  ): bigint {
    const [name = "", ...others] = locks;
    const { try: impatient = false, attempt = 0, ...content } = more;
    const { permits = 0, limit = 0 } = content;
    return this.write(
      { case: "create", value: { name: Buffer.from(name), id: idOf(n), content: 0, attempt, try: impatient } },
      { ...content, others: others.map((other) => ({ name: Buffer.from(other), permits, limit })) },
    );
  }

  release(n: number, name: string, token: bigint): void {
    const cause = RemoveCause.RELEASED;
    this.write({ case: "remove", value: { name: Buffer.from(name), id: idOf(n), token, cause } });
  }

  force(name: string, token: bigint): void {
    this.write({ case: "force", value: { name: Buffer.from(name), token, actor: "ops", reason: "stuck" } });
  }

  /** The tokens of those that are admitted to a lock, and of those of them that hold all that they ask for. */
  shown(name: string): { readonly admitted: readonly bigint[]; readonly holding: readonly bigint[] } {
    const admitted = this.log.admitted(name);
    const tokens = (tickets: readonly ModelTicket[]) => tickets.map(({ token }) => token);
    return { admitted: tokens(admitted), holding: tokens(admitted.filter((ticket) => this.log.holds(ticket))) };
  }
}

function idOf(n: number): Uint8Array {
  return new Uint8Array(16).fill(n);
}

describe("several locks at once", () => {
  test("are held once all of them are free, and kept from others meanwhile", () => {
    const stage = new Stage();
    const holder = stage.ask(1, ["b"]);
    const both = stage.ask(2, ["a", "b"]);
    const later = stage.ask(3, ["a"]);
    expect(stage.shown("a")).toEqual({ admitted: [both], holding: [] });
    expect(stage.shown("b")).toEqual({ admitted: [holder], holding: [holder] });
    stage.release(1, "b", holder);
    expect([stage.shown("a"), stage.shown("b")]).toEqual(Array(2).fill({ admitted: [both], holding: [both] }));
    stage.release(2, "a", both);
    expect(stage.shown("a")).toEqual({ admitted: [later], holding: [later] });
    expect(stage.log.queue("b")).toEqual([]);
  });

  test("are tried for all or none", () => {
    const stage = new Stage();
    stage.ask(1, ["b"], shared);
    stage.ask(2, ["a", "b"], { try: true });
    expect(stage.log.tickets).toHaveLength(1);
    const both = stage.ask(3, ["a", "b"], { ...shared, try: true });
    expect(stage.shown("a")).toEqual({ admitted: [both], holding: [both] });
  });

  test("stay the same when they are asked for again, and cannot be downgraded", () => {
    const stage = new Stage();
    const token = stage.ask(1, ["a", "b"]);
    stage.ask(1, ["a"], { attempt: 1, owner: "again" });
    stage.write({ case: "renew", value: { name: Buffer.from("a"), id: idOf(1), token, downgrade: true } });
    const parts = ["a", "b"].map((name) => ({ name, permits: 1, limit: 1 }));
    expect(stage.log.tickets).toMatchObject([{ token, parts, owner: "again" }]);
  });
});

describe("a release by force", () => {
  test("removes the ticket of that token by any of its locks, from all of them", () => {
    const stage = new Stage();
    const both = stage.ask(1, ["a", "b"]);
    const next = stage.ask(2, ["b"]);
    stage.force("b", both);
    expect(stage.removed).toEqual([[both, true]]);
    expect([stage.shown("a").holding, stage.shown("b").holding]).toEqual([[], [next]]);
  });

  test("with another token, or of another lock, changes nothing", () => {
    const stage = new Stage();
    const holder = stage.ask(1, ["a"]);
    stage.force("a", holder - 1n);
    stage.force("b", holder);
    expect([stage.removed, stage.shown("a").holding]).toEqual([[], [holder]]);
  });
});
