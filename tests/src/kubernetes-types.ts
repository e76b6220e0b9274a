import { join } from "node:path";
import ts from "typescript";

/** Where `kubernetes-types` has the type of an object. */
const modules: Readonly<Record<string, string>> = { v1: "core/v1", "apps/v1": "apps/v1", "policy/v1": "policy/v1" };

/** A Kubernetes object, as it stands in a manifest. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

/** What is wrong with objects by the types of Kubernetes' API: unknown and missing fields, and wrong kinds of values. */
export function problemsOf(manifests: readonly Manifest[], folder: string): string[] {
  const source = manifests.map((manifest, index) => {
    const module = modules[manifest.apiVersion];
    if (module === undefined) {
      throw new Error(`add ${manifest.apiVersion} to the modules of kubernetes-types`);
    }
    const type = `import("kubernetes-types/${module}").${manifest.kind}`;
    return `export const o${index}: ${type} = ${JSON.stringify(manifest, undefined, 2)};`;
  });
  const path = join(folder, "manifests.ts");
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.ESNext,
    // The package has no "exports", and its imports no extensions.
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    // All that the types need, and much faster than to read all libraries.
    lib: ["lib.es5.d.ts"],
  };
  const disk = ts.createCompilerHost(options);
  const program = ts.createProgram([path], options, {
    ...disk,
    fileExists: (name) => name === path || disk.fileExists(name),
    getSourceFile: (name, version, ...rest) =>
      name === path
        ? ts.createSourceFile(name, source.join("\n"), version)
        : disk.getSourceFile(name, version, ...rest),
  });
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}
