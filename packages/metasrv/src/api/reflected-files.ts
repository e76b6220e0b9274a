import { type DescExtension, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** The .proto files behind some services, with what they import, as tools ask for them. */
export class ReflectedFiles {
  readonly #files = new Map<string, DescFile>();
  /** Files by the full names of the messages, enums, services, methods and extensions that they declare. */
  readonly #bySymbol = new Map<string, DescFile>();
  readonly #extensions: DescExtension[] = [];
  readonly #messages = new Set<string>();

  constructor(services: Iterable<DescService>) {
    for (const { file } of services) {
      this.#add(file);
    }
  }

  /** A file by its name, such as `metasrv/v1/lock.proto`. */
  file(name: string): DescFile | undefined {
    return this.#files.get(name);
  }

  /** The file that declares a symbol by its full name. */
  declaring(symbol: string): DescFile | undefined {
    return this.#bySymbol.get(symbol);
  }

  /** The file that declares an extension of a message. */
  extending(message: string, number: number): DescFile | undefined {
    return this.#extensions.find((extension) => extension.extendee.typeName === message && extension.number === number)
      ?.file;
  }

  /** The numbers of all extensions of a message; undefined if there is no such message. */
  extensionNumbers(message: string): number[] | undefined {
    return this.#messages.has(message)
      ? this.#extensions.filter(({ extendee }) => extendee.typeName === message).map(({ number }) => number)
      : undefined;
  }

  #add(file: DescFile): void {
    const { name } = file.proto;
    if (this.#files.has(name)) {
      return;
    }
    this.#files.set(name, file);
    for (const type of nestedTypes(file)) {
      this.#bySymbol.set(type.typeName, file);
      if (type.kind === "message") {
        this.#messages.add(type.typeName);
      } else if (type.kind === "extension") {
        this.#extensions.push(type);
      } else if (type.kind === "service") {
        for (const method of type.methods) {
          this.#bySymbol.set(`${type.typeName}.${method.name}`, file);
        }
      }
    }
    for (const dependency of file.dependencies) {
      this.#add(dependency);
    }
  }
}

/**
 * Encodes a file and all files that it imports, that file first. Leaves out the files in `sent`, and adds to it those
 * that it encodes.
 */
export function encodeFiles(file: DescFile, sent: Set<string>): Uint8Array[] {
  const encoded: Uint8Array[] = [];
  const add = (next: DescFile) => {
    sent.add(next.proto.name);
    encoded.push(toBinary(FileDescriptorProtoSchema, next.proto));
    for (const dependency of next.dependencies) {
      if (!sent.has(dependency.proto.name)) {
        add(dependency);
      }
    }
  };
  add(file);
  return encoded;
}
