import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";
import ts from "typescript";
import { codeBlocks } from "./code-blocks.js";

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));

/** What the snippets use and their reader has. */
const globals = `
import type { MetaClient } from "@metasrv/meta-client";
declare global {
  const meta: MetaClient;
  const db: {
    update(row: object, options: { fence: bigint; signal: AbortSignal }): Promise<void>;
    query(sql: string, values: readonly unknown[]): Promise<{ rowCount: number }>;
  };
  const order: object;
  const orderId: number;
  const invoices: readonly object[];
  const steps: readonly ((signal: AbortSignal) => Promise<void>)[];
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

const kinds = ["exclusive", "shared", "semaphore"].map((kind) => `docs/kinds/${kind}.md`);

test("the TypeScript snippets of the README and the guides compile", () => {
  const snippets = ["README.md", "docs/client.md", "docs/reliability.md", "docs/inspection.md", ...kinds].flatMap(
    snippetsOf,
  );
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
