import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import * as client from "@metasrv/meta-client";
import { leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import { trace } from "@opentelemetry/api";
import ts from "typescript";
import { codeBlocks } from "./code-blocks.js";

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));

/** What the snippets use and their reader has. */
const globals = `
import type { MetaClient } from "@metasrv/meta-client";
declare global {
  const meta: MetaClient;
  const endpoints: readonly string[];
  const db: {
    update(row: object, options: { fence: bigint; signal: AbortSignal }): Promise<void>;
    query(sql: string, values: readonly unknown[]): Promise<{ rowCount: number }>;
  };
  const order: object;
  const orderId: number;
  const invoices: readonly object[];
  const steps: readonly ((signal: AbortSignal) => Promise<void>)[];
  const from: number;
  const to: number;
  const signal: AbortSignal;
  function cleanUp(signal: AbortSignal): Promise<void>;
}
`;

/** The snippets of a Markdown file as modules, each named after the line at which it begins. */
function snippetsOf(file: string): [name: string, source: string][] {
  const blocks = codeBlocks(readFileSync(`${root}/${file}`, "utf8")).filter(({ language }) => language === "ts");
  // Beside the sources of this workspace, so that packages are found as they are from there.
  return blocks.map(({ line, text }) => [
    `${root}/examples/src/${file.replaceAll("/", "-")}:${line}.ts`,
    `${text}\nexport {};`,
  ]);
}

/** What the compiler has to say of modules that are not on the disk. */
function problemsOf(sources: ReadonlyMap<string, string>): string[] {
  const { config } = ts.readConfigFile(`${root}/tsconfig.base.json`, (path) => readFileSync(path, "utf8")) as {
    config: { compilerOptions: object };
  };
  const { options } = ts.parseJsonConfigFileContent(
    { compilerOptions: { ...config.compilerOptions, noEmit: true, noUnusedLocals: false }, files: [...sources.keys()] },
    ts.sys,
    root,
  );
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (path) => sources.has(path) || disk.fileExists(path),
    getSourceFile: (path, version, ...rest) => {
      const source = sources.get(path);
      return source === undefined
        ? disk.getSourceFile(path, version, ...rest)
        : ts.createSourceFile(path, source, version);
    },
  };
  const diagnostics = ts.getPreEmitDiagnostics(ts.createProgram([...sources.keys()], options, host));
  return diagnostics.map(({ file, messageText }) => {
    return `${file?.fileName ?? "options"}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
}

const kinds = ["exclusive", "shared", "semaphore", "several", "leader"].map((kind) => `docs/kinds/${kind}.md`);
const migrations = ["redlock", "redis-semaphore", "etcd3-lock", "consul-lock", "rust-client"].map(
  (from) => `docs/migration/${from}.md`,
);
const pages = [...kinds, "docs/inspection.md", "docs/force.md", "docs/traces.md", ...migrations];

test("the TypeScript snippets of the README and the guides compile", () => {
  const snippets = ["README.md", "docs/client.md", "docs/reliability.md", ...pages].flatMap(snippetsOf);
  expect(snippets.length).toBeGreaterThan(8);
  const globalsFile = `${root}/examples/src/snippet-globals.ts`;
  expect(problemsOf(new Map([[globalsFile, globals], ...snippets]))).toEqual([]);
});

test("and the compiler would notice a mistake", () => {
  const wrong = `import { MetaClient } from "@metasrv/meta-client";\nnew MetaClient({ endpoint: "http://127.0.0.1:3002" });`;
  expect(problemsOf(new Map([[`${root}/examples/src/wrong.ts`, wrong]]))).toEqual([
    expect.stringContaining("'endpoint' does not exist"),
  ]);
});

/** A snippet as a function of what it uses. Its imports are what it gets by the same names. */
function runnable(source: string): (globals: object) => Promise<void> {
  const body = source.replace(/^import .*;$/gmu, "").replace("export {};", "");
  const { outputText } = ts.transpileModule(`const snippet = async () => {${body}};`, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  return (globals) => {
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the guides are ours
    const run = new Function(...Object.keys(globals), `${outputText}\nreturn snippet();`) as (
      ...values: unknown[]
    ) => Promise<void>;
    return run(...(Object.values(globals) as unknown[]));
  };
}

describe("the snippets of the pages on kinds, inspection, force, traces and migration run:", () => {
  let metasrv: Metasrv;
  beforeAll(async () => {
    metasrv = await startMetasrv();
  });
  afterAll(async () => {
    await metasrv[Symbol.asyncDispose]();
  });

  test.each(pages.flatMap(snippetsOf).map(([name, source]) => [name.slice(`${root}/examples/src/`.length), source]))(
    "%s",
    async (_, source) => {
      const { signal } = stoppable();
      await using others = new client.MetaClient({ endpoints: [metasrv.url], owner: "others" });
      await using meta = new client.MetaClient({ endpoints: [metasrv.url], trackNesting: true });
      // What is looked at, and taken by force.
      const isLookedAt = /\.(?:watch|watchAll|list|force|get)\(/u.test(source);
      await using held = isLookedAt ? await others.lock("orders/42") : undefined;
      const waiting = held && others.lock("orders/42").then((lock) => lock.release());
      waiting?.catch(() => undefined);
      const globals = {
        ...client,
        ...{ trace, endpoints: [metasrv.url] },
        ...{ meta, signal, order: {}, orderId: 42, from: 1, to: 2 },
        db: { update: () => Promise.resolve(), query: () => Promise.resolve({ rowCount: 1 }) },
        cleanUp: () => new Promise((resolve) => setTimeout(resolve, 20)),
        console: { log: () => undefined },
      };
      await runnable(source)(globals).catch((error: unknown) => {
        // What goes on until it is stopped ends with the reason.
        if (error !== signal.reason) {
          throw error;
        }
      });
    },
  );
});

/** A signal that aborts soon. */
function stoppable(): AbortController {
  const stop = new AbortController();
  setTimeout(() => {
    stop.abort(new Error("enough was seen"));
  }, 500);
  return stop;
}

afterAll(leakCheck());
