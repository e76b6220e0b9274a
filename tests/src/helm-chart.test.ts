import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "@jest/globals";
import { leakCheck, startEtcd, startMetasrv } from "@metasrv/testing";
import { parseAllDocuments } from "yaml";
import { type Manifest, problemsOf } from "./kubernetes-types.js";
import { testWith } from "./test-with.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const chart = "ops/helm/metasrv";

const helm = process.env.HELM_BIN ?? "helm";
const testWithHelm = await testWith(helm, "version");

interface StatefulSet extends Manifest {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly {
          readonly args: readonly string[];
          readonly env: readonly { readonly name: string; readonly value?: string }[];
          readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
          readonly volumeMounts: readonly { readonly mountPath: string }[];
        }[];
      };
    };
  };
}

const rendered = await readFile(`${root}/ops/kubernetes/metasrv.yaml`, "utf8");
const manifests = parse(rendered);
const config = (find("ConfigMap") as Manifest & { data: Record<string, string> }).data["metasrv.yaml"] ?? "";
const pod = (find("StatefulSet") as StatefulSet).spec.template.spec;

function parse(yaml: string): Manifest[] {
  return parseAllDocuments(yaml).map((document) => document.toJS() as Manifest);
}

function find(kind: string): Manifest {
  const manifest = manifests.find((candidate) => candidate.kind === kind);
  if (manifest === undefined) {
    throw new Error(`no ${kind}`);
  }
  return manifest;
}

describe("the Helm chart and the manifests made of it", () => {
  test("the manifests were made of the chart as it is: else run ops/kubernetes/render", async () => {
    const hash = `find ${chart} -type f | LC_ALL=C sort | xargs cat | sha256sum`;
    const { stdout } = await run("bash", ["-c", hash], { cwd: root });
    expect(rendered).toContain(`of the chart ${stdout.slice(0, 64)}\n`);
  });

  test("the manifests have the fields that Kubernetes knows, and all that it needs", () => {
    expect(manifests.map(({ kind }) => kind).sort()).toEqual([
      "ConfigMap",
      "PodDisruptionBudget",
      "Service",
      "Service",
      "StatefulSet",
    ]);
    expect(problemsOf(manifests, root)).toEqual([]);
  });

  test("and a mistake would be noticed", () => {
    const wrong = { apiVersion: "v1", kind: "Service", spec: { selectors: {} } };
    expect(problemsOf([wrong], root)).toEqual([expect.stringContaining("'\"selectors\"' does not exist")]);
  });

  test("a server starts by the command, variables and config file of a pod, and is known by the pod's name", async () => {
    const folder = await mkdtemp(join(tmpdir(), "metasrv-pod-"));
    const [container] = pod.containers;
    const env: Record<string, string> = { POD_NAME: "metasrv-0", POD_NAMESPACE: "locks" };
    for (const { name, value } of container?.env ?? []) {
      if (value !== undefined) {
        env[name] = value.replace(/\$\((\w+)\)/gu, (_, other: string) => env[other] ?? "");
      }
    }
    try {
      await using etcd = await startEtcd();
      const file = join(folder, "metasrv.yaml");
      await writeFile(file, config.replace("etcd:2379", etcd.endpoint));
      const [mount] = container?.volumeMounts ?? [];
      const [command, ...args] = container?.args.map((arg) => (arg === mount?.mountPath ? file : arg)) ?? [];
      expect([command, ...args]).toEqual(["start", "--config", file]);
      await using metasrv = await startMetasrv({ args: [...args, "--bind-addr=127.0.0.1:0"], env });
      const response = await fetch(`${metasrv.url}/metasrv.v1.ClusterService/ListMembers`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: "{}",
      });
      expect(await response.json()).toMatchObject({
        members: [{ address: "metasrv-0.metasrv-peers.locks.svc:3002" }],
      });
      expect(await metasrv.stop()).toBe(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("a pod is given longer to stop than its server takes", () => {
    const [container] = pod.containers;
    const preStopSeconds = Number(container?.lifecycle.preStop.exec.command.at(-1));
    const drainSeconds = Number(container?.env.find(({ name }) => name === "METASRV_DRAIN_MS")?.value) / 1000;
    // docs/server.md: five seconds at most with 2 s for draining, and as much longer as that is.
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(preStopSeconds + drainSeconds + 3);
  });

  testWithHelm("helm finds no fault in the chart", async () => {
    const { stdout } = await run(helm, ["lint", "--strict", `${root}/${chart}`]);
    expect(stdout).toContain("1 chart(s) linted, 0 chart(s) failed");
  });

  testWithHelm("helm makes what Kubernetes knows of other values, too", async () => {
    const values = [
      "replicas=5,drainSeconds=30,probe=HTTPS,config.insecureListen=true,image.tag=1.2.3,priorityClassName=high,nodeSelector.disk=ssd",
      "secrets[0].secretName=metasrv-tls,secrets[0].mountPath=/etc/metasrv/tls,imagePullSecrets[0].name=registry",
      "tolerations[0].operator=Exists,podAnnotations.a=b,service.annotations.c=d,whenUnsatisfiable=DoNotSchedule",
    ];
    const { stdout } = await run(helm, [
      "template",
      "a",
      `${root}/${chart}`,
      ...values.flatMap((set) => ["--set", set]),
    ]);
    expect(problemsOf(parse(stdout), root)).toEqual([]);
    expect(stdout).toContain("terminationGracePeriodSeconds: 43");
    expect(stdout).toContain('value: "$(POD_NAME).a-metasrv-peers.$(POD_NAMESPACE).svc:3002"');
    expect(stdout).toContain("secretName: metasrv-tls");
    expect(stdout).toContain("scheme: HTTPS");
    const byCommand = await run(helm, ["template", "a", `${root}/${chart}`, "--set", "probe=command"]);
    expect(problemsOf(parse(byCommand.stdout), root)).toEqual([]);
    expect(byCommand.stdout).toContain('[metasrv, health, --url, "http://127.0.0.1:3002/readyz"]');
  });
});

afterAll(leakCheck());
