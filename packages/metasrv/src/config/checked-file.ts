import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { z } from "zod";
import { nearest } from "./nearest.js";

/** What is wrong with a file, and where. */
export interface FileProblem {
  /** Where, as `store.addrs[0]`; empty for the file as a whole. */
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
  /** What was expected and what was found. It never shows the value of a secret. */
  readonly problem: string;
}

/** A path in a file, outermost first. */
export type Path = readonly PropertyKey[];

/** What is in a file that matches its schema, or all that is wrong with it. */
export type CheckedFile<T> =
  | {
      readonly value: T;
      /** Says where a problem is that only those who use the value can find. */
      readonly locate: (path: Path, problem: string) => FileProblem;
    }
  | { readonly problems: readonly FileProblem[] };

/**
 * Reads a text of YAML 1.2 (core schema) or JSON, and checks it.
 *
 * In the schema, the message of a check names what is expected ("host:port, such as 0.0.0.0:3002"), but that of
 * `refine` and `addIssue` is a whole sentence. A secret is marked by `.meta({ writeOnly: true })`: its value is not shown.
 */
export function checkFile<T extends z.ZodType>(text: string, schema: T): CheckedFile<z.output<T>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { version: "1.2", schema: "core", prettyErrors: false, lineCounter: lines });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  // A warning is about a tag that YAML's core does not have.
  const syntax = [...document.errors, ...document.warnings];
  if (syntax.length > 0) {
    return { problems: syntax.map(({ message, pos }) => ({ path: "", ...at(pos[0]), problem: message })) };
  }
  let content: unknown;
  try {
    content = document.toJS() ?? {};
  } catch (error) {
    // Aliases that are not there, or that multiply.
    return { problems: [{ path: "", ...at(0), problem: error instanceof Error ? error.message : String(error) }] };
  }
  const locate = (path: Path, problem: string) => ({
    path: showPath(path),
    ...at(offsetOf(document, path)),
    problem,
  });
  const result = schema.safeParse(content, { error: expectation, reportInput: true });
  if (result.success) {
    return { value: result.data, locate };
  }
  const form = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const problems = result.error.issues.flatMap(innermost).flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => locate([...issue.path, key], unknownKey(key, knownKeys(form, issue.path))));
    }
    if (issue.code === "custom") {
      return [locate(issue.path, issue.message)];
    }
    return [locate(issue.path, `expected ${issue.message}; found ${found(form, issue.path, content)}`)];
  });
  return { problems: inOrder(problems) };
}

/** Problems as whoever goes through the file comes to them. */
export function inOrder(problems: readonly FileProblem[]): readonly FileProblem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** A path as people write it: `store.addrs[0]`. */
export function showPath(path: Path): string {
  const text = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return text.replace(/^\./, "");
}

/** Whether what is at the path must not be shown: it is marked so, or its key sounds like it. */
export function isSecret(form: JsonSchema, path: Path): boolean {
  return (
    path.some((part) => typeof part === "string" && /password|token|secret/i.test(part)) ||
    path.some((_, index) => at(form, path.slice(0, index + 1)).some(({ writeOnly }) => writeOnly === true))
  );
}

/** A schema of JSON Schema. */
export type JsonSchema = z.core.JSONSchema.BaseSchema;

type Issue = z.core.$ZodIssue;

/** Of alternatives, the problems of the one that fits furthest. */
function innermost(issue: Issue): Issue[] {
  if (issue.code !== "invalid_union") {
    return [issue];
  }
  const depth = (issues: readonly Issue[]) => Math.max(...issues.map(({ path }) => path.length));
  const [best] = issue.errors.filter((issues) => depth(issues) > 0).sort((a, b) => depth(b) - depth(a));
  return best === undefined
    ? [issue]
    : best.flatMap((inner) => innermost({ ...inner, path: [...issue.path, ...inner.path] }));
}

const typeNames: Partial<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "keys with values",
  record: "keys with values",
};

/** What was expected, for checks that do not say it themselves. */
export function expectation(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return typeNames[issue.expected] ?? issue.expected;
    case "invalid_value":
      return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.map(String).join(", ")}`;
    case "too_small":
      return issue.origin === "number" || issue.origin === "int"
        ? `a number of at least ${issue.minimum}`
        : `a length of at least ${issue.minimum}`;
    case "too_big":
      return issue.origin === "number" || issue.origin === "int"
        ? `a number of at most ${issue.maximum}`
        : `a length of at most ${issue.maximum}`;
    case "invalid_union":
      return "another kind of value";
    default:
      return undefined;
  }
}

function unknownKey(key: string, known: readonly string[]): string {
  const name = nearest(key, known);
  return `unknown key "${key}"; ${name === undefined ? "no key is expected here" : `the nearest known key is "${name}"`}`;
}

/** The schemas of what is at a path. */
function at(form: JsonSchema, path: Path): JsonSchema[] {
  let forms = alternatives(form);
  for (const part of path) {
    forms = forms
      .flatMap(({ properties, additionalProperties, items }) =>
        typeof part === "number" ? [items] : [properties?.[String(part)] ?? additionalProperties],
      )
      .flatMap((next) => (typeof next === "object" && !Array.isArray(next) ? alternatives(next) : []));
  }
  return forms;
}

function alternatives(form: JsonSchema): JsonSchema[] {
  return [form, ...[...(form.anyOf ?? []), ...(form.oneOf ?? []), ...(form.allOf ?? [])].flatMap(alternatives)];
}

function knownKeys(form: JsonSchema, path: Path): string[] {
  return at(form, path).flatMap(({ properties = {} }) => Object.keys(properties));
}

function found(form: JsonSchema, path: Path, content: unknown): string {
  let value: unknown = content;
  for (const part of path) {
    value = typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[part] : undefined;
  }
  if (value === undefined) {
    return "nothing";
  }
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) ? "a list" : "keys with values";
  }
  return isSecret(form, path) ? "a value that is not shown" : JSON.stringify(value);
}

/** Where a key is, or the item of a list; else what is around it. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? start(node) : 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (pair === undefined) {
        return offset;
      }
      offset = isNode(pair.key) ? start(pair.key) : offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.get(Number(part), true);
      offset = isNode(node) ? start(node) : offset;
    }
  }
  return offset;
}

function start(node: Node): number {
  return node.range?.[0] ?? 0;
}
