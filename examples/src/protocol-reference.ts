import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { createFileRegistry, type DescField, type DescFile, type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The contracts for clients, in the order in which readers want them. */
const documented = [
  "metasrv/v1/lock.proto",
  "metasrv/v1/inspect.proto",
  "metasrv/v1/admin.proto",
  "metasrv/v1/cluster.proto",
  "greptime/v1/meta/lock.proto",
];

const head = `<!-- Written by \`npm run docs:protocol\` from the .proto files; do not edit. -->

# The protocol

Every service, call, message and field of the contracts for clients, with what the \`.proto\` files in [proto](../../proto)
say of them. How to call them is in [Using metasrv from any language](../other-languages.md).
`;

/**
 * What docs/reference/protocol.md must be.
 *
 * @param root - folder of the workspace
 */
export async function protocolReference(root: string): Promise<string> {
  const buf = join(root, "node_modules/.bin/buf");
  const { stdout } = await promisify(execFile)(buf, ["build", "--as-file-descriptor-set", "--output", "-#format=bin"], {
    cwd: root,
    encoding: "buffer",
    maxBuffer: 64 * 1024 * 1024,
  });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, stdout));
  const files = documented.map((path) => {
    const file = registry.getFile(path);
    if (file === undefined) {
      throw new Error(`there is no ${path}`);
    }
    return section(file);
  });
  return [head, ...files].join("\n");
}

function section(file: DescFile): string {
  const comments = commentsOf(file);
  const lines = [`## ${file.proto.package}: ${file.proto.name}`, ""];
  for (const [s, service] of file.services.entries()) {
    lines.push(`### ${service.typeName}`, "", ...paragraph(comments(6, s)));
    for (const [m, method] of service.methods.entries()) {
      const streams = { unary: ["", ""], server_streaming: ["", "stream "], client_streaming: ["stream ", ""] };
      const [asks, answers] = { ...streams, bidi_streaming: ["stream ", "stream "] }[method.methodKind];
      const call = `${method.name}(${asks}${method.input.name}) returns (${answers}${method.output.name})`;
      lines.push(`#### ${method.name}`, "", `\`${call}\``, "", ...paragraph(comments(6, s, 2, m)));
    }
  }
  for (const [m, message] of file.messages.entries()) {
    lines.push(...messageLines(message, comments, [4, m]));
  }
  for (const [e, enumeration] of file.enums.entries()) {
    lines.push(
      `### enum ${enumeration.name}`,
      "",
      ...paragraph(comments(5, e)),
      "| value | number | |",
      "| - | - | - |",
    );
    for (const [v, value] of enumeration.values.entries()) {
      lines.push(`| \`${value.name}\` | ${value.number} | ${cell(comments(5, e, 2, v))} |`);
    }
    lines.push("");
  }
  return lines.join("\n");
}

function messageLines(message: DescMessage, comments: Comments, path: readonly number[]): string[] {
  const lines = [`### ${message.typeName.slice(message.file.proto.package.length + 1)}`, ""];
  lines.push(...paragraph(comments(...path)));
  if (message.fields.length === 0) {
    lines.push("It has no fields.", "");
  } else {
    lines.push("| field | type | |", "| - | - | - |");
    for (const [f, field] of message.fields.entries()) {
      const group = field.oneof === undefined ? "" : ` (one of \`${field.oneof.name}\`)`;
      lines.push(
        `| \`${field.name}\` = ${field.number}${group} | ${typeOf(field)} | ${cell(comments(...path, 2, f))} |`,
      );
    }
    lines.push("");
  }
  for (const [n, nested] of message.nestedMessages.entries()) {
    lines.push(...messageLines(nested, comments, [...path, 3, n]));
  }
  return lines;
}

function typeOf(field: DescField): string {
  const named = field.message?.name ?? field.enum?.name;
  const single = named ?? scalarNames[field.proto.type] ?? "";
  switch (field.fieldKind) {
    case "list":
      return `repeated ${single}`;
    case "map":
      return "map";
    default:
      return field.presence === FeatureSet_FieldPresence.EXPLICIT &&
        field.oneof === undefined &&
        field.message === undefined
        ? `optional ${single}`
        : single;
  }
}

/** By the numbers of `FieldDescriptorProto.Type`. */
const scalarNames: readonly string[] =
  "- double float int64 uint64 int32 fixed64 fixed32 bool string - - bytes uint32".split(" ");

/** The comment before the element at a path of `SourceCodeInfo`, such as 4, 0 for the first message. */
type Comments = (...path: number[]) => string;

function commentsOf(file: DescFile): Comments {
  const locations = file.proto.sourceCodeInfo?.location ?? [];
  const byPath = new Map(locations.map((location) => [location.path.join("."), location.leadingComments]));
  return (...path) => (byPath.get(path.join(".")) ?? "").replace(/^ /gmu, "").trim();
}

function paragraph(comment: string): string[] {
  return comment === "" ? [] : [escaped(comment), ""];
}

function cell(comment: string): string {
  return escaped(comment)
    .replace(/\s*\n\s*/gu, " ")
    .replaceAll("|", "\\|");
}

/** Markdown would take these for markup. */
function escaped(text: string): string {
  return text.replace(/[<>*]/gu, String.raw`\$&`);
}
