import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Child, freePorts, leakCheck, until } from "@metasrv/testing";
import { allOf, type Stage, stagesOf } from "./dockerfile.js";

const run = promisify(execFile);
const workspace = fileURLToPath(new URL("../..", import.meta.url));
const isRoot = process.getuid?.() === 0;

/** Makes all that is mounted read-only, but for what the kernel shows of itself, and goes on as the user of the image. */
const readOnlyAndUnprivileged = `
mount --make-rprivate /
findmnt --list --noheadings --output TARGET | while read -r target; do
  mount -o remount,bind,ro "$target" 2>/dev/null || true
done
if touch "$1/written" 2>/dev/null; then echo "not read-only" >&2; exit 1; fi
shift
exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --inh-caps=-all -- "$@"`;

// Without docker: the same commands in a folder that stands for the root of the images, by the Node that runs this. Only root
// can take the rights away and make the file system read-only; anybody else sees that the commands work.
describe("the image that the Dockerfile describes", () => {
  let root: string;
  let image: Stage;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "metasrv-image-"));
    await chmod(root, 0o755);
    const [build = [], last = []] = stagesOf(await readFile(`${workspace}/Dockerfile`, "utf8"));
    image = last;
    expect(allOf(build, "COPY")).toEqual([". ."]);
    await copyContext(join(root, "build"));
    for (const command of allOf(build, "RUN")) {
      await run("bash", ["-ec", command.replaceAll("/build", `${root}/build`)], {
        cwd: join(root, "build"),
        env: { ...withoutNodeOptions(), NX_DAEMON: "false", npm_config_prefer_offline: "true" },
        maxBuffer: 64 * 1024 * 1024,
      });
    }
    for (const copy of allOf(image, "COPY")) {
      const [, from = "", to = ""] = /^--from=build (\S+) (\S+)$/u.exec(copy) ?? [];
      await mkdir(join(root, to), { recursive: true });
      await cp(join(root, from), join(root, to), { recursive: true, verbatimSymlinks: true });
    }
    env = imageEnvironment(image, root);
  }, 600_000);

  afterAll(async () => {
    await rm(root, { recursive: true, force: true });
  }, 120_000);

  test("runs as a user without rights, by number", () => {
    expect(allOf(image, "USER")).toEqual(["1000:1000"]);
  });

  test("serves on a read-only file system, says so to its health check, and stops by SIGTERM", async () => {
    const [port] = await freePorts(1);
    const command = [...list(allOf(image, "ENTRYPOINT")), ...list(allOf(image, "CMD"))];
    const args = ["--mount", "bash", "-ec", readOnlyAndUnprivileged, "bash", root, ...command];
    const child = await Child.start({
      command: isRoot ? "unshare" : (command[0] ?? ""),
      args: isRoot ? args : command.slice(1),
      env: { ...env, METASRV_BIND_ADDR: `127.0.0.1:${port}` },
    });
    try {
      const [healthCheck = ""] = allOf(image, "HEALTHCHECK");
      const [program = "", ...rest] = list([healthCheck.slice(healthCheck.indexOf("CMD ") + 4)]);
      const health = { env: { ...env, METASRV_HEALTH_URL: `http://127.0.0.1:${port}/healthz` } };
      let answer = "";
      await until(
        async () => {
          if (child.exit !== undefined) {
            throw new Error(`the server ended; ${child.tail}`);
          }
          answer = await run(program, rest, health).then(
            ({ stdout }) => stdout,
            () => "",
          );
          return answer !== "";
        },
        { what: "the health check to succeed", timeoutMs: 30_000 },
      );
      expect(answer).toBe("ok\n");
      if (isRoot) {
        expect(await readFile(`/proc/${child.pid}/status`, "utf8")).toMatch(/^Uid:\s+1000\s+1000\s+1000\s+1000$/mu);
      }
      expect(await child.stop()).toEqual({ code: 0, signal: null });
      await expect(run(program, rest, health)).rejects.toMatchObject({ code: 1 });
    } finally {
      await child.kill();
    }
  }, 60_000);
});

/** What `COPY . .` copies: the files that git knows or would add. What else there is, .dockerignore leaves out. */
async function copyContext(to: string): Promise<void> {
  const { stdout } = await run("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: workspace,
    maxBuffer: 64 * 1024 * 1024,
  });
  for (const file of stdout.split("\0").filter((name) => name !== "")) {
    await cp(join(workspace, file), join(to, file), { recursive: true }).catch((error: unknown) => {
      // Removed, and not committed yet.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
        throw error;
      }
    });
  }
}

function imageEnvironment(image: Stage, root: string): NodeJS.ProcessEnv {
  const outer = withoutNodeOptions();
  const env: NodeJS.ProcessEnv = { PATH: outer.PATH };
  for (const [name = "", ...value] of allOf(image, "ENV").map((line) => line.split("="))) {
    env[name] = value
      .join("=")
      .replaceAll("/opt/", `${root}/opt/`)
      .replaceAll("$PATH", outer.PATH ?? "");
  }
  return env;
}

/** This process's environment without what jest needs of Node, and with the Node that runs it first in the PATH. */
function withoutNodeOptions(): NodeJS.ProcessEnv {
  const env = Object.entries(process.env).filter(([name]) => !/^(?:NODE_OPTIONS$|METASRV_|npm_)/u.test(name));
  const node = join(process.execPath, "..");
  return { ...Object.fromEntries(env), PATH: [node, process.env.PATH].join(delimiter) };
}

/** Words in Docker's list form, `["a", "b"]`. */
function list(lines: readonly string[]): string[] {
  return lines.flatMap((line) => JSON.parse(line) as string[]);
}

afterAll(leakCheck());
