import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { librariesIn, unpackedDebianPackage } from "@metasrv/testing";

/** A Python that can `import grpc`. */
export interface Python {
  readonly command: string;
  /** What its environment needs. */
  readonly env: Readonly<Record<string, string>>;
}

const systemPython = "/usr/bin/python3";

/**
 * The Python that `PYTHON_BIN` names, else the first `python3` in the PATH, that can `import grpc`, else the system's
 * with the Debian package python3-grpcio unpacked beside it.
 *
 * @throws Error that says what to install
 */
export async function findPython(): Promise<Python> {
  const named = process.env.PYTHON_BIN;
  const candidates = named === undefined ? [...inPath("python3"), systemPython] : [named];
  for (const command of candidates) {
    if (await hasGrpc({ command, env: {} })) {
      return { command, env: {} };
    }
  }
  const root = await unpackedDebianPackage("python3-grpcio");
  const python = {
    command: named ?? systemPython,
    env: {
      PYTHONPATH: join(root, "usr/lib/python3/dist-packages"),
      LD_LIBRARY_PATH: (await librariesIn(root)).join(delimiter),
    },
  };
  if (await hasGrpc(python)) {
    return python;
  }
  throw new Error(`${python.command} cannot import grpc: apt-get install python3-grpcio, or set PYTHON_BIN`);
}

/** The `etcdctl` in the PATH, else the one of the Debian package etcd-client. */
export async function findEtcdctl(): Promise<string> {
  return inPath("etcdctl")[0] ?? join(await unpackedDebianPackage("etcd-client"), "usr/bin/etcdctl");
}

function inPath(program: string): string[] {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, program)).filter((path) => existsSync(path));
}

async function hasGrpc({ command, env }: Python): Promise<boolean> {
  try {
    await promisify(execFile)(command, ["-c", "import grpc"], { env: { ...process.env, ...env } });
    return true;
  } catch {
    return false;
  }
}
