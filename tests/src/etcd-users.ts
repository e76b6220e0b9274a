import { generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Etcd3, type IOptions } from "etcd3";
import { probe } from "./http-probe.js";

/** The tokens by which etcd knows its clients: in the memory of each member, or signed by all with one key. */
export type TokenKind = "simple" | "jwt";

/** Flags of etcd for tokens that lapse after 5 s: simple ones when nobody uses them for so long. @param folder - for keys */
export async function lapsingTokens(kind: TokenKind, folder: string): Promise<string[]> {
  if (kind === "simple") {
    return ["--auth-token=simple", "--auth-token-ttl=5"];
  }
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const [pub, priv] = [join(folder, "jwt.pub"), join(folder, "jwt.key")];
  await writeFile(pub, publicKey);
  await writeFile(priv, privateKey);
  return [`--auth-token=jwt,pub-key=${pub},priv-key=${priv},sign-method=RS256,ttl=5s`];
}

/** How often members of etcd were asked for a token since they were started. */
export async function authentications(endpoints: readonly string[]): Promise<number> {
  const pages = await Promise.all(endpoints.map((endpoint) => probe(`http://${endpoint}/metrics`)));
  const count = /^grpc_server_handled_total\{[^}]*grpc_method="Authenticate"[^}]*\} (\d+)$/gm;
  return pages.flatMap(({ text }) => [...text.matchAll(count)]).reduce((sum, [, times]) => sum + Number(times), 0);
}

/** What a user may do with the keys under a prefix. */
export interface EtcdRight {
  readonly permType: "Read" | "Write" | "Readwrite";
  /** All keys that begin with it and a slash. */
  readonly prefix: string;
}

/** The users of an etcd, as its root sees them. At first there is only the root, and etcd does not ask who anybody is. */
export class EtcdUsers implements Disposable {
  readonly #options: IOptions;
  readonly #rootPassword = "only for tests";
  #root: Etcd3;

  private constructor(options: IOptions) {
    this.#options = options;
    this.#root = new Etcd3(options);
  }

  /** @param tls - what to trust, and who the client is; absent: without TLS */
  static async of(
    endpoint: string,
    tls?: { readonly rootCertificate: string; readonly cert: string; readonly key: string },
  ): Promise<EtcdUsers> {
    const credentials = tls && {
      rootCertificate: Buffer.from(tls.rootCertificate),
      certChain: Buffer.from(tls.cert),
      privateKey: Buffer.from(tls.key),
    };
    const users = new EtcdUsers({ hosts: endpoint, ...(credentials && { credentials }) });
    await users.#root.auth.userAdd({ name: "root", password: users.#rootPassword });
    await users.#root.auth.roleAdd({ name: "root" });
    await users.#root.auth.userGrantRole({ user: "root", role: "root" });
    return users;
  }

  /** Adds a user with a role of the same name. */
  async add(name: string, password: string, rights: readonly EtcdRight[]): Promise<void> {
    const { auth } = this.#root;
    await auth.userAdd({ name, password });
    await auth.roleAdd({ name });
    for (const right of rights) {
      await this.grant(name, right);
    }
    await auth.userGrantRole({ user: name, role: name });
  }

  async grant(role: string, { permType, prefix }: EtcdRight): Promise<void> {
    const [key, end] = [Buffer.from(`${prefix}/`), Buffer.from(`${prefix}0`)];
    await this.#root.auth.roleGrantPermission({ name: role, perm: { permType, key, range_end: end } });
  }

  async revoke(role: string, prefix: string): Promise<void> {
    const [key, end] = [Buffer.from(`${prefix}/`), Buffer.from(`${prefix}0`)];
    await this.#root.auth.roleRevokePermission({ role, key, range_end: end });
  }

  async changePassword(name: string, password: string): Promise<void> {
    await this.#root.auth.userChangePassword({ name, password });
  }

  /** From now on etcd asks who its clients are. */
  async turnOn(): Promise<void> {
    await this.#root.auth.authEnable();
    this.#root.close();
    this.#root = new Etcd3({ ...this.#options, auth: { username: "root", password: this.#rootPassword } });
  }

  async turnOff(): Promise<void> {
    await this.#root.auth.authDisable();
  }

  [Symbol.dispose](): void {
    this.#root.close();
  }
}
