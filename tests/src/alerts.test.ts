import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import {
  type Certificate,
  createCertificateAuthority,
  findOrInstall,
  leakCheck,
  type Metasrv,
  startEtcd,
  startMetasrv,
  until,
} from "@metasrv/testing";
import { installMs, Prometheus, rulesFolder } from "./prometheus.js";

const dayMs = 86_400_000;
const timeoutMs = 60_000;

test(
  "the alerts of ops/ are rules, and fire when they should",
  async () => {
    const promtool = await findOrInstall("promtool");
    const run = promisify(execFile);
    const { stdout } = await run(promtool, ["check", "rules", "alerts.yaml"], { cwd: rulesFolder });
    expect(stdout).toContain("11 rules found");
    expect((await run(promtool, ["test", "rules", "alerts.test.yaml"], { cwd: rulesFolder })).stdout).toContain(
      "SUCCESS",
    );
  },
  installMs,
);

/** The rules that are shipped, but that nothing has to last for longer than a test does. */
async function hurriedRules(): Promise<string> {
  const shipped = await readFile(join(rulesFolder, "alerts.yaml"), "utf8");
  const hurried = shipped.replaceAll(/^ +for: \w+\n/gmu, "").replaceAll(/\[(?:5|10)m\]/gu, "[15s]");
  expect(hurried).toContain("metasrv_oldest_wait_seconds) > 300");
  return hurried.replace("metasrv_oldest_wait_seconds) > 300", "metasrv_oldest_wait_seconds) > 3");
}

/** Injects a fault, and waits until just these alerts have fired. Then mends it, and waits until none fires. */
async function campaign(
  prometheus: Prometheus,
  expected: readonly string[],
  inject: () => Promise<unknown>,
  mend: () => Promise<unknown>,
): Promise<Readonly<Record<string, string>>[]> {
  const seen = new Map<string, Readonly<Record<string, string>>>();
  const look = async (): Promise<number> => {
    const firing = await prometheus.firing();
    firing.forEach((labels) => seen.set(labels.alertname ?? "", labels));
    return firing.length;
  };
  const intervalMs = 200;
  await inject();
  const fired = async () => (await look(), expected.every((name) => seen.has(name)));
  await until(fired, { what: `${expected.join(", ")} to fire`, timeoutMs, intervalMs }).catch((error: unknown) => {
    throw new Error(`${String(error)}; fired: ${[...seen.keys()].join(", ")}`);
  });
  await mend();
  await until(async () => (await look()) === 0, { what: "all to be well again", timeoutMs, intervalMs });
  expect([...seen.keys()].sort()).toEqual([...expected].sort());
  return [...seen.values()];
}

test(
  "alerts fire while there is a fault, and end with it",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "metasrv-alerts-"));
    try {
      const authority = await createCertificateAuthority();
      const ca = join(folder, "ca.pem");
      const rules = join(folder, "alerts.yaml");
      await writeFile(ca, authority.cert);
      await writeFile(rules, await hurriedRules());
      const lastsFor = (days: number) =>
        authority.issue({ hosts: ["127.0.0.1"], notAfter: new Date(Date.now() + days * dayMs) });
      const writeCertificate = async (name: string, { cert, key }: Certificate) => {
        await writeFile(join(folder, `${name}.pem`), cert);
        await writeFile(join(folder, `${name}-key.pem`), key);
      };
      await using etcd = await startEtcd();
      const start = async (name: string, days: number, ...more: string[]): Promise<Metasrv> => {
        await writeCertificate(name, await lastsFor(days));
        const files = [`--tls-cert=${join(folder, `${name}.pem`)}`, `--tls-key=${join(folder, `${name}-key.pem`)}`];
        return startMetasrv({ store: etcd.endpoint, args: [...files, ...more] });
      };
      await using one = await start("one", 60);
      await using two = await start("two", 60);
      await using three = await start("three", 60);
      const targets = [one, two, three].map(({ address }) => address);
      await using prometheus = await Prometheus.start({ targets, rules, ca });
      await using meta = new MetaClient({
        endpoints: [`https://${one.address}`],
        discover: false,
        tls: { ca: authority.cert },
        trackNesting: true,
      });

      const servers = 'count(up{job="metasrv"} == 1)';
      await until(async () => (await prometheus.query(servers)) === "3", {
        what: "three servers to be read",
        timeoutMs,
      });
      // Before they were read, no leader was known.
      await until(async () => (await prometheus.firing()).length === 0, { what: "no alert", timeoutMs });

      const end = new AbortController();
      const ended: Promise<unknown>[] = [];
      const replaceCertificate = async (days: number) => {
        await writeCertificate("three", await lastsFor(days));
        await three.kill("SIGHUP");
      };
      const asks = async () => {
        await replaceCertificate(10);
        const holding = meta.withLock("slow/1", () => once(end.signal, "abort"));
        const waiting = meta.lock("slow/1", { signal: end.signal });
        ended.push(Promise.allSettled([holding, waiting]));
        await meta.lock("dead/1", { ttlMs: 5_000, keepAlive: false });
        const taken = await meta.lock("forced/1");
        // A counter has risen only for who has seen it before.
        const known = 'count(metasrv_holds_ended_total{family="forced",how="forced"})';
        await until(async () => (await prometheus.query(known)) === "3", { what: "the family to be known", timeoutMs });
        await meta.locks.force("forced/1", taken.token, { reason: "test" });
        const hang = (outer: string, inner: string) =>
          meta.withLock(outer, async () => {
            await until(async () => (await meta.locks.get(inner)).holderCount === 1, { what: `${inner} to be held` });
            return meta.withLock(inner, { signal: end.signal }, () => undefined);
          });
        ended.push(Promise.allSettled([hang("circle/1", "circle/2"), hang("circle/2", "circle/1")]));
      };
      const gives = async () => {
        end.abort(new Error("enough"));
        await Promise.all(ended);
        await replaceCertificate(60);
      };
      const expected = ["CertificateExpires", "Deadlock", "ForcedRelease", "HoldsExpire", "OldWait"];
      const fired = await campaign(prometheus, expected.map(ours), asks, gives);
      expect(fired).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ alertname: ours("CertificateExpires"), instance: three.address }),
          expect.objectContaining({ alertname: ours("ForcedRelease"), family: "forced" }),
          expect.objectContaining({ alertname: ours("HoldsExpire"), family: "dead" }),
          expect.objectContaining({ alertname: ours("OldWait") }),
        ]),
      );

      let again: Metasrv | undefined;
      try {
        const restart = async () => (again = await start("three", 60, `--bind-addr=${three.address}`));
        const [down] = await campaign(prometheus, [ours("ServerDown")], () => three.kill(), restart);
        expect(down).toMatchObject({ instance: three.address });
        const lost = ["NoLeader", "MembershipEnding", "WatchBehind"].map(ours);
        await campaign(
          prometheus,
          lost,
          () => etcd.kill(),
          () => etcd.restart(),
        );
      } finally {
        await again?.[Symbol.asyncDispose]();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  installMs + 240_000,
);

function ours(alert: string): string {
  return `Metasrv${alert}`;
}

afterAll(leakCheck());
