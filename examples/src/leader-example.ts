// Leaders: one of several processes leads, others read where it is, and the next leads when it goes.
import type { Leader, MetaClient, Term } from "@metasrv/meta-client";
import { check, type NewClient, once, onStage, say, work } from "./stage.js";

const name = "leader/reports";

/** Resolves once somebody leads who is accepted, as others see it. */
async function untilLeads(meta: MetaClient, accepts: (leader: Leader | null) => boolean): Promise<void> {
  for await (const leader of meta.observeLeader(name)) {
    if (accepts(leader)) {
      return;
    }
  }
}

const isAt = (value: string) => (leader: Leader | null) => Buffer.from(leader?.value ?? []).toString() === value;

/** Works until the term is over. */
async function serve({ signal }: Term): Promise<void> {
  if (!signal.aborted) {
    await new Promise((resolve) => {
      signal.addEventListener("abort", resolve);
    });
  }
}

async function succession(newClient: NewClient): Promise<void> {
  say("1. Two candidates: the second leads when the first resigns, and its work has ended");

  const lookout = newClient("lookout");
  const stop = new AbortController();
  let leading = 0;
  async function candidate(who: string, leads: () => void, resigns?: Promise<void>): Promise<void> {
    const options = { value: `http://${who}.example`, signal: stop.signal };
    const ended = newClient(who).lead(name, options, async (term) => {
      say(`${who}: leads`);
      check(++leading === 1, "two processes led at a time");
      leads();
      void resigns?.then(() => term.resign());
      await serve(term);
      say(`${who}: ends its work`);
      await work(0.5);
      leading--;
    });
    await ended.catch((error: unknown) => {
      check(error === stop.signal.reason, "a candidacy did not end with its signal");
    });
  }

  const [annLeads, annResigns, bobLeads] = [once(), once(), once()];
  const ann = candidate("ann", annLeads.happens, annResigns.happened);
  await annLeads.happened;
  await untilLeads(lookout, isAt("http://ann.example"));
  const bob = candidate("bob", bobLeads.happens);
  say("ann: resigns");
  annResigns.happens();
  // Others may see that bob leads before bob hears of it.
  await bobLeads.happened;
  await untilLeads(lookout, isAt("http://bob.example"));
  say("others see that bob leads");
  stop.abort();
  await Promise.all([ann, bob]);
  await untilLeads(lookout, (leader) => leader === null);
  say("others see that nobody leads");
}

async function publish(newClient: NewClient): Promise<void> {
  say("2. A leader publishes where it is, and ends of its own accord");

  const lookout = newClient("lookout");
  await newClient("ann").lead(name, async (term) => {
    await term.publish("http://ann.example:1");
    await untilLeads(lookout, isAt("http://ann.example:1"));
    say("others read http://ann.example:1");
    await term.publish("http://ann.example:2");
    await untilLeads(lookout, isAt("http://ann.example:2"));
    say("others read http://ann.example:2");
  });
  say("ann: has returned, and is no candidate any more");
}

async function overthrow(newClient: NewClient): Promise<void> {
  say("3. A term is taken by force: its signal aborts, and the candidate comes back for another one");

  const operator = newClient("operator");
  let terms = 0;
  await newClient("ann").lead(name, { rejoinMs: 0 }, async (term) => {
    if (++terms === 2) {
      say("ann: leads again");
      return;
    }
    say("ann: leads");
    await operator.locks.force(name, term.token, { reason: "an example" });
    await serve(term);
    say("ann: ends its work");
  });
}

await onStage(succession, publish, overthrow);
