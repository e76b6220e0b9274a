import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Certificate, Child, findOrInstall, freePorts, until } from "@metasrv/testing";

/** A proxy that people put before servers. */
export type ProxyName = "nginx" | "haproxy";

// Before any test, because installing one takes longer than a test may.
const programs: Readonly<Record<ProxyName, string>> = {
  nginx: await findOrInstall("nginx"),
  haproxy: await findOrInstall("haproxy"),
};

/** The configuration that the guide shows. It listens at 127.0.0.1:3000 and passes to 127.0.0.1:3002, as all of these do. */
export async function shownConfig(name: ProxyName): Promise<string> {
  const guide = await readFile(new URL("../../docs/operations.md", import.meta.url), "utf8");
  return new RegExp(`\`\`\`${name}\n([^]*?)\`\`\``).exec(guide)?.[1] ?? "";
}

/** What somebody writes who knows nothing of metasrv. @param listen - what follows the address, such as `http2` */
export function plainConfig(name: ProxyName, listen = ""): string {
  return name === "nginx"
    ? `server { listen 127.0.0.1:3000 ${listen}; location / { proxy_pass http://127.0.0.1:3002; } }`
    : `defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend locks
  bind 127.0.0.1:3000 ${listen}
  default_backend metasrv
backend metasrv
  server one 127.0.0.1:3002
`;
}

/** A file that nginx takes for its whole configuration. */
const nginxFile = (folder: string, servers: string): string => `
pid ${folder}/pid; error_log ${folder}/error.log; daemon off; master_process off;
events { worker_connections 256; }
http {
  access_log ${folder}/access.log combined;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((of) => `${of}_temp_path ${folder}/${of};`).join("\n")}
  ${servers}
}`;

/** A running proxy. Disposing of it ends it. */
export class ProxyProgram implements AsyncDisposable {
  /** Where clients connect, as host:port. */
  readonly address: string;
  readonly #child: Child;
  readonly #folder: string;

  private constructor(address: string, child: Child, folder: string) {
    this.address = address;
    this.#child = child;
    this.#folder = folder;
  }

  /**
   * Starts a proxy before a server, and waits until it listens.
   *
   * @param target - the server, as host:port
   * @param certificate - is in the file `certificate.pem` beside the configuration
   */
  static async start(
    name: ProxyName,
    config: string,
    target: string,
    certificate?: Certificate,
  ): Promise<ProxyProgram> {
    const [port = 0] = await freePorts(1);
    const address = `127.0.0.1:${port}`;
    const folder = await mkdtemp(join(tmpdir(), "metasrv-proxy-"));
    const file = join(folder, "config");
    const own = config.replaceAll("127.0.0.1:3000", address).replaceAll("127.0.0.1:3002", target);
    await writeFile(file, name === "nginx" ? nginxFile(folder, own) : own);
    if (certificate !== undefined) {
      await writeFile(join(folder, "certificate.pem"), certificate.cert + certificate.key);
    }
    const args =
      name === "nginx"
        ? ["-c", file, "-p", folder, "-e", join(folder, "error.log")]
        : ["-C", folder, "-f", file, "-db"];
    const child = await Child.start({ command: programs[name], args, env: process.env });
    const proxy = new ProxyProgram(address, child, folder);
    try {
      await until(() => opens(port), { what: `${name} to listen` });
    } catch (error) {
      await proxy[Symbol.asyncDispose]();
      throw error;
    }
    return proxy;
  }

  /** What nginx has written of requests. */
  async accessLog(): Promise<string> {
    return readFile(join(this.#folder, "access.log"), "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function opens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => {
      resolve(false);
    });
  });
}
