import { describe, expect, test } from "@jest/globals";
import { create, read, remove, setUp, unknown, update } from "../../../test-support/committer-stage.js";

const notAMember: unknown = expect.objectContaining({
  status: "rejected",
  reason: expect.objectContaining({ reason: "not-a-member" }),
});

describe("what a member that is gone asks for", () => {
  test.each([
    ["a creation", create(2)],
    ["a creation where the lock must be free", create(2, "free", true)],
    ["a creation where the lock must be free, and is not", create(2, "a", true)],
    ["a renewal", update(1, 11n)],
  ])("%s: alone, it changes nothing and says why", async (_what, op) => {
    const { committer, runAll, etcd, memberGoes } = setUp();
    await Promise.all([committer.append(create(1)), runAll()]);
    memberGoes();
    const outcome = Promise.allSettled([committer.append(op)]);
    expect(await runAll()).toHaveLength(1);
    expect(await outcome).toEqual([notAMember]);
    expect(etcd.tickets).toHaveLength(1);
  });

  test("together with removals and reads: these are done, and nothing else", async () => {
    const { committer, runAll, etcd, memberGoes } = setUp();
    await Promise.all([committer.append(create(1)), committer.append(create(1, "b")), runAll()]);
    memberGoes();
    const ops = [create(1, "c"), remove(1, 11n), update(1, 11n, "b"), read(2)].map((op) => committer.append(op));
    const outcomes = Promise.allSettled(ops);
    expect(await runAll()).toEqual([4]);
    expect(await outcomes).toMatchObject([
      notAMember,
      { value: { done: true } },
      notAMember,
      { value: { done: false, existing: undefined } },
    ]);
    expect(etcd.tickets).toEqual([expect.stringContaining("/b/")]);
  });

  test("is not in the way of what the same node asks for as the member that it is now", async () => {
    const { committer, runAll, etcd, memberGoes, memberJoins } = setUp();
    memberGoes();
    memberJoins("m2");
    const ops = [create(1), create(2, "b", false, "m2"), create(3, "c", false, "m2")].map((op) => committer.append(op));
    const outcomes = Promise.allSettled(ops);
    // As one that does all or nothing, and then each by itself.
    expect(await runAll()).toEqual([3, 3]);
    expect(await outcomes).toMatchObject([notAMember, { value: { done: true } }, { value: { done: true } }]);
    expect(etcd.tickets).toHaveLength(2);
  });

  test("does not take effect late: an attempt that was given up arrives after the member's end", async () => {
    const { committer, next, etcd, memberGoes } = setUp();
    const outcome = Promise.allSettled([committer.append(create(1))]);
    const late = await next();
    late.fail(unknown);
    memberGoes();
    (await next()).run();
    expect(await outcome).toEqual([notAMember]);
    etcd.execute(late.request);
    expect(etcd.tickets).toEqual([]);
  });
});

describe("what was done for a member before its end is answered as done, though the answer was lost", () => {
  test.each([
    ["a creation", create(2, "b"), 12n],
    ["a renewal", update(1, 11n), 12n],
  ])("%s", async (_what, op, revision) => {
    const { committer, runAll, next, memberGoes } = setUp();
    await Promise.all([committer.append(create(1)), runAll()]);
    const result = committer.append(op);
    (await next()).runLost();
    memberGoes();
    (await next()).run();
    expect(await result).toEqual({ done: true, revision });
  });

  test("but not a renewal that was never done: nothing has changed the ticket", async () => {
    const { committer, runAll, next, memberGoes } = setUp();
    await Promise.all([committer.append(create(1)), runAll()]);
    const outcome = Promise.allSettled([committer.append(update(1, 11n, "a", 10_000))]);
    (await next()).fail(unknown);
    memberGoes();
    (await next()).run();
    expect(await outcome).toEqual([notAMember]);
  });
});

test("the members of one transaction are compared once each", async () => {
  const { committer, next } = setUp();
  const ops = [create(1), create(2, "b"), remove(1, 5n, "c"), create(3, "d")].map((op) => committer.append(op));
  const outcomes = Promise.allSettled(ops);
  const { request } = await next();
  const members = request.compare?.filter(({ key }) => key?.toString().startsWith("p/members/"));
  expect(members).toHaveLength(1);
  committer.close();
  await outcomes;
});
