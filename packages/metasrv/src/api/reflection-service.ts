import type { DescFile, DescService, MessageInitShape } from "@bufbuild/protobuf";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import type {
  ServerReflection,
  ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "@metasrv/proto/grpc/reflection/v1";
import { encodeFiles, ReflectedFiles } from "./reflected-files.js";
import { untilAborted } from "./until-aborted.js";

type Response = MessageInitShape<typeof ServerReflectionResponseSchema>;
type Answer = NonNullable<Response["messageResponse"]>;

/** `grpc.reflection.v1.ServerReflection`: tells tools such as grpcurl what is served here, so that they need no files. */
export function createReflectionService(services: readonly DescService[]) {
  const files = new ReflectedFiles(services);
  const names = services.map(({ typeName }) => typeName).sort();

  function answer({ messageRequest: request }: ServerReflectionRequest, sent: Set<string>): Answer {
    switch (request.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: names.map((name) => ({ name })) } };
      case "fileByFilename":
        return fileAnswer(files.file(request.value), `file "${request.value}"`, sent);
      case "fileContainingSymbol":
        return fileAnswer(files.declaring(request.value), `symbol "${request.value}"`, sent);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = request.value;
        const what = `extension ${extensionNumber} of "${containingType}"`;
        return fileAnswer(files.extending(containingType, extensionNumber), what, sent);
      }
      case "allExtensionNumbersOfType": {
        const extensionNumber = files.extensionNumbers(request.value);
        return extensionNumber === undefined
          ? notFound(`message "${request.value}"`)
          : { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber } };
      }
      case undefined:
        return failure(Code.InvalidArgument, "the request asks for nothing that this server knows; it may be newer");
    }
  }

  return {
    async *serverReflectionInfo(requests, { signal }): AsyncGenerator<Response> {
      const sent = new Set<string>();
      for await (const request of untilAborted(requests, signal)) {
        yield { validHost: request.host, originalRequest: request, messageResponse: answer(request, sent) };
      }
    },
  } satisfies ServiceImpl<typeof ServerReflection>;
}

function fileAnswer(file: DescFile | undefined, what: string, sent: Set<string>): Answer {
  return file === undefined
    ? notFound(what)
    : { case: "fileDescriptorResponse", value: { fileDescriptorProto: encodeFiles(file, sent) } };
}

function notFound(what: string): Answer {
  return failure(Code.NotFound, `there is no ${what} behind the services of this server`);
}

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
