import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, findOrInstall, freePorts } from "@metasrv/testing";

/** The folder of the rules that are shipped. */
export const rulesFolder = fileURLToPath(new URL("../../ops/prometheus/", import.meta.url));

/** Time for apt-get to download Prometheus, where it is not installed. */
export const installMs = 180_000;

/** What a Prometheus reads, once a second. */
export interface PrometheusOptions {
  /** Servers, as host:port. */
  readonly targets: readonly string[];
  /** A file of rules. */
  readonly rules: string;
  /** PEM file of the authority of the servers' certificates; absent: they have no TLS. */
  readonly ca?: string;
}

/** A running Prometheus. Disposing of it kills it and removes its data. */
export class Prometheus implements AsyncDisposable {
  readonly #child: Child;
  readonly #address: string;
  readonly #folder: string;

  private constructor(child: Child, address: string, folder: string) {
    this.#child = child;
    this.#address = address;
    this.#folder = folder;
  }

  /** Starts it. It answers a little later. */
  static async start({ targets, rules, ca }: PrometheusOptions): Promise<Prometheus> {
    const command = await findOrInstall("prometheus");
    const folder = await mkdtemp(join(tmpdir(), "metasrv-prometheus-"));
    const tls = ca === undefined ? {} : { scheme: "https", tls_config: { ca_file: ca } };
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [rules],
      scrape_configs: [{ job_name: "metasrv", static_configs: [{ targets }], ...tls }],
    };
    const file = join(folder, "prometheus.yaml");
    // JSON is YAML.
    await writeFile(file, JSON.stringify(config));
    const [port] = await freePorts(1);
    const address = `127.0.0.1:${port}`;
    const args = [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
    ];
    return new Prometheus(await Child.start({ command, args, env: process.env }), address, folder);
  }

  /** The last lines that it has written. */
  get tail(): string {
    return this.#child.tail;
  }

  /**
   * The first value of what is asked for; undefined if there is none, or while it starts.
   *
   * @throws Error when it does not understand
   */
  async query(promql: string): Promise<unknown> {
    const data = await this.#get<{ result: { value: unknown[] }[] }>(`query?query=${encodeURIComponent(promql)}`);
    return data?.result[0]?.value[1];
  }

  /** The labels of the alerts that fire now. */
  async firing(): Promise<Readonly<Record<string, string>>[]> {
    const data = await this.#get<{ alerts: { labels: Record<string, string>; state: string }[] }>("alerts");
    return (data?.alerts ?? []).filter(({ state }) => state === "firing").map(({ labels }) => labels);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #get<T>(path: string): Promise<T | undefined> {
    const url = `http://${this.#address}/api/v1/${path}`;
    const response = await fetch(url, { headers: { connection: "close" } }).catch(() => undefined);
    if (response?.status === 400) {
      throw new Error(await response.text());
    }
    return response?.ok === true ? ((await response.json()) as { data: T }).data : undefined;
  }
}
