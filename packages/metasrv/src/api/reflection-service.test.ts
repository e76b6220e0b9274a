import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "@jest/globals";
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "@metasrv/proto/grpc/reflection/v1";
import { ErrorDetailSchema, LockService, Reason } from "@metasrv/proto/metasrv/v1";
import { Served } from "../../test-support/served.js";
import { createReflectionService } from "./reflection-service.js";

type Ask = Exclude<ServerReflectionRequest["messageRequest"], { case: undefined }>;

// A service. Its file imports the file of its messages, and extends one of these messages.
const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: [
      {
        name: "base.proto",
        package: "test",
        messageType: [{ name: "Base", extensionRange: [{ start: 100, end: 200 }], nestedType: [{ name: "Inner" }] }],
      },
      {
        name: "work.proto",
        package: "test",
        dependency: ["base.proto"],
        extension: [
          {
            name: "extra",
            number: 101,
            type: FieldDescriptorProto_Type.STRING,
            label: FieldDescriptorProto_Label.OPTIONAL,
            extendee: ".test.Base",
          },
        ],
        service: [{ name: "Work", method: [{ name: "Do", inputType: ".test.Base", outputType: ".test.Base" }] }],
      },
    ],
  }),
);

/** The answers to some requests on one stream. */
async function ask(...asks: Ask[]): Promise<ServerReflectionResponse[]> {
  const work = registry.getService("test.Work");
  if (work === undefined) {
    throw new Error("the service is missing");
  }
  const transport = createRouterTransport((router) => {
    router.service(ServerReflection, createReflectionService([work, LockService]));
  });
  const requests = asks.map((messageRequest) =>
    create(ServerReflectionRequestSchema, { host: "here", messageRequest }),
  );
  const responses: ServerReflectionResponse[] = [];
  for await (const response of createClient(ServerReflection, transport).serverReflectionInfo(stream(requests))) {
    responses.push(response);
  }
  return responses;
}

async function* stream<T>(items: Iterable<T>, end: Promise<void> = Promise.resolve()): AsyncGenerator<T> {
  yield* items;
  await end;
}

/** The answers in short. */
function described({ messageResponse: { case: kind, value } }: ServerReflectionResponse): unknown {
  switch (kind) {
    case "fileDescriptorResponse":
      return value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
    case "allExtensionNumbersResponse":
      return [value.baseTypeName, value.extensionNumber];
    case "listServicesResponse":
      return value.service.map(({ name }) => name);
    case "errorResponse":
      return `${Code[value.errorCode] ?? "?"}: ${value.errorMessage}`;
    case undefined:
      return undefined;
  }
}

function symbol(value: string): Ask {
  return { case: "fileContainingSymbol", value };
}

describe("ServerReflection", () => {
  test("lists the services, and repeats what was asked", async () => {
    const [answer] = await ask({ case: "listServices", value: "*" });
    expect(answer).toMatchObject({
      validHost: "here",
      originalRequest: { host: "here", messageRequest: { case: "listServices", value: "*" } },
    });
    expect(answer && described(answer)).toEqual(["metasrv.v1.LockService", "test.Work"]);
  });

  test.each(["test.Work", "test.Work.Do", "test.extra"])(
    "knows that %s is in work.proto, and sends what it imports",
    async (name) => {
      expect((await ask(symbol(name))).map(described)).toEqual([["work.proto", "base.proto"]]);
    },
  );

  test.each(["test.Base", "test.Base.Inner"])(
    "knows that %s is in base.proto, which no service is in",
    async (name) => {
      expect((await ask(symbol(name))).map(described)).toEqual([["base.proto"]]);
    },
  );

  test("sends a file by its name, and once on a stream what others import", async () => {
    const base: Ask = { case: "fileByFilename", value: "base.proto" };
    const work: Ask = { case: "fileByFilename", value: "work.proto" };
    expect((await ask(base, work, base)).map(described)).toEqual([["base.proto"], ["work.proto"], ["base.proto"]]);
  });

  test("the files are what the generated code knows", async () => {
    const [answer] = await ask(symbol("metasrv.v1.LockService.Lock"));
    const files = answer?.messageResponse.case === "fileDescriptorResponse" ? answer.messageResponse.value : undefined;
    const [file] = files?.fileDescriptorProto ?? [];
    expect(file && fromBinary(FileDescriptorProtoSchema, file)).toEqual(LockService.file.proto);
  });

  test("knows extensions", async () => {
    const [file, numbers, none] = await ask(
      { case: "fileContainingExtension", value: extension("test.Base", 101) },
      { case: "allExtensionNumbersOfType", value: "test.Base" },
      { case: "allExtensionNumbersOfType", value: "test.Base.Inner" },
    );
    expect(file && described(file)).toEqual(["work.proto", "base.proto"]);
    expect(numbers && described(numbers)).toEqual(["test.Base", [101]]);
    expect(none && described(none)).toEqual(["test.Base.Inner", []]);
  });

  test("what there is not is answered so, and the stream goes on", async () => {
    const answers = await ask(
      symbol("test.Nobody"),
      { case: "fileByFilename", value: "nothing.proto" },
      { case: "fileContainingExtension", value: extension("test.Base", 102) },
      { case: "allExtensionNumbersOfType", value: "test.Work" },
      { case: "listServices", value: "" },
    );
    expect(answers.map(described)).toEqual([
      'NotFound: there is no symbol "test.Nobody" behind the services of this server',
      'NotFound: there is no file "nothing.proto" behind the services of this server',
      'NotFound: there is no extension 102 of "test.Base" behind the services of this server',
      'NotFound: there is no message "test.Work" behind the services of this server',
      ["metasrv.v1.LockService", "test.Work"],
    ]);
  });

  test("an open stream ends when the server stops, and says so", async () => {
    await using served = await Served.start();
    const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: served.url }));
    let release = (): void => undefined;
    const open = new Promise<void>((resolve) => (release = resolve));
    const request = create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } });
    const answers = client.serverReflectionInfo(stream([request], open))[Symbol.asyncIterator]();
    const first = (await answers.next()) as { value: ServerReflectionResponse };
    expect(described(first.value)).toEqual([
      "greptime.v1.meta.Lock",
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "metasrv.v1.AdminService",
      "metasrv.v1.ClusterService",
      "metasrv.v1.InspectService",
      "metasrv.v1.LockService",
    ]);
    const ended = answers.next().catch((error: unknown) => error);
    await served.stop();
    const error = (await ended) as { findDetails(schema: typeof ErrorDetailSchema): { reason: Reason }[] };
    expect(error.findDetails(ErrorDetailSchema)).toMatchObject([{ reason: Reason.SHUTTING_DOWN }]);
    release();
  });
});

function extension(containingType: string, extensionNumber: number) {
  return { $typeName: "grpc.reflection.v1.ExtensionRequest" as const, containingType, extensionNumber };
}
