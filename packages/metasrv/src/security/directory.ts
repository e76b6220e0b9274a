import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "@metasrv/wire";
import type { AuthConfig } from "./auth-config.js";
import { type CertificateName, readCertificateName } from "./certificate-names.js";
import { Principal, ProvenIdentity } from "./principal.js";
import type { QuotasConfig } from "./quotas-config.js";
import { Rights } from "./rights.js";
import { Usage } from "./usage.js";

/** Who there is, what proves them, and what they may do. */
export class Directory {
  readonly #clock: Clock;
  #principals: ReadonlyMap<string, Principal> = new Map();
  /** By a certificate name, `token:` and the SHA-256 of a token, or nothing. */
  #identities: ReadonlyMap<string, ProvenIdentity> = new Map();
  /** Tokens by the first bytes of their SHA-256. */
  #tokens: ReadonlyMap<number, readonly Token[]> = new Map();

  constructor(auth: AuthConfig, quotas: QuotasConfig, clock: Clock) {
    this.#clock = clock;
    this.replace(auth, quotas);
  }

  /** Undefined if it is nobody's token. */
  byToken(token: string): ProvenIdentity | undefined {
    const digest = createHash("sha256").update(token).digest();
    const tokens = this.#tokens.get(firstBytes(digest));
    return tokens?.find((known) => timingSafeEqual(known.digest, digest))?.identity;
  }

  /** Undefined if none of them names a principal. */
  byCertificate(names: readonly CertificateName[]): ProvenIdentity | undefined {
    for (const name of names) {
      const identity = this.#identities.get(name);
      if (identity !== undefined) {
        return identity;
      }
    }
    return undefined;
  }

  /** The principal of those who show nothing, if there is one. */
  get anonymous(): ProvenIdentity | undefined {
    return this.#identities.get("");
  }

  /** Takes a new configuration over, as a whole. What proved a principal before, and does not now, becomes invalid. */
  replace(auth: AuthConfig, quotas: QuotasConfig): void {
    const rights = new Map(auth.principals.map(({ name }) => [name, new Rights(ownOf(auth.roles ?? {}, name) ?? [])]));
    const before = { principals: this.#principals, identities: this.#identities };
    const principals = new Map<string, Principal>();
    for (const [name, its] of rights) {
      const quota = ownOf(quotas, name) ?? {};
      const principal = before.principals.get(name) ?? new Principal(name, its, new Usage(name, quota, this.#clock));
      principal.usage.quota = quota;
      principals.set(name, principal);
    }
    const identities = new Map<string, ProvenIdentity>();
    for (const [proof, name] of proofs(auth)) {
      const principal = principals.get(name);
      const known = before.identities.get(proof);
      if (principal !== undefined) {
        identities.set(proof, known?.owner === principal ? known : new ProvenIdentity(principal));
      }
    }
    this.#principals = principals;
    this.#identities = identities;
    this.#tokens = tokensOf(identities);
    for (const [proof, identity] of before.identities) {
      identity.isValid = identities.get(proof) === identity;
    }
    for (const [name, principal] of before.principals) {
      principal.change(rights.get(name) ?? new Rights([]));
    }
  }
}

/** A principal may be called as what every object has, such as `constructor`. */
function ownOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

interface Token {
  readonly digest: Buffer;
  readonly identity: ProvenIdentity;
}

/** What proves whom. */
function* proofs({ principals, anonymous }: AuthConfig): Generator<readonly [proof: string, name: string]> {
  for (const { name, certificateSan, tokenSha256 = [] } of principals) {
    const certificate = certificateSan === undefined ? undefined : readCertificateName(certificateSan);
    if (certificate !== undefined) {
      yield [certificate, name];
    }
    for (const digest of tokenSha256) {
      yield [tokenProof + digest, name];
    }
  }
  if (anonymous !== undefined) {
    yield ["", anonymous];
  }
}

/** No certificate name begins so. */
const tokenProof = "token:";

function tokensOf(identities: ReadonlyMap<string, ProvenIdentity>): Map<number, Token[]> {
  const tokens = new Map<number, Token[]>();
  for (const [proof, identity] of identities) {
    if (proof.startsWith(tokenProof)) {
      const digest = Buffer.from(proof.slice(tokenProof.length), "hex");
      const first = firstBytes(digest);
      tokens.set(first, [...(tokens.get(first) ?? []), { digest, identity }]);
    }
  }
  return tokens;
}

function firstBytes(digest: Buffer): number {
  return digest.readUInt32BE(0);
}
