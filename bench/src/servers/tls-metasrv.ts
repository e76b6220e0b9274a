import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificateAuthority } from "@metasrv/testing";
import { type BenchMetasrvOptions, startBenchMetasrv } from "./metasrv.js";

/** A server that speaks TLS. */
export interface TlsMetasrv extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** The certificate of the authority that clients must trust, in PEM. */
  readonly ca: string;
}

/** Starts a server with a certificate of its own. */
export async function startTlsMetasrv(options: BenchMetasrvOptions): Promise<TlsMetasrv> {
  const folder = await mkdtemp(join(tmpdir(), "metasrv-bench-"));
  const authority = await createCertificateAuthority();
  const { cert, key } = await authority.issue({ hosts: ["127.0.0.1"], usages: ["server"] });
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
  const server = await startBenchMetasrv({ ...options, args: [`--tls-cert=${certFile}`, `--tls-key=${keyFile}`] });
  return {
    url: `https://${server.address}`,
    pid: server.pid,
    ca: authority.cert,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}
