import {
  loadSync,
  type AnyDefinition,
  type MessageTypeDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

/** The parts of `google.protobuf.FileDescriptorProto` that this file uses. */
interface File {
  name: string;
  dependency?: string[];
  messageType?: Message[];
}

interface Message {
  name: string;
  field?: { name: string; typeName?: string; oneofIndex?: number; proto3Optional?: boolean }[];
  nestedType?: Message[];
  oneofDecl?: { name: string }[];
  options?: { mapEntry?: boolean };
}

/**
 * Creates the reflection service (https://grpc.io/docs/guides/reflection/) of `definitions`. It fills gaps in the descriptors of
 * the loader that clients reject (https://github.com/grpc/grpc-node/issues/2958,
 * services/decisions/0130-libraries-and-own-code.md).
 */
export function reflection(definitions: PackageDefinition): ReflectionService {
  const { serialize, deserialize } = loadSync('google/protobuf/descriptor.proto')[
    'google.protobuf.FileDescriptorProto'
  ] as MessageTypeDefinition<File, File>;
  const types = Object.values(definitions).filter(isType);
  const [type] = types;
  if (!type) return new ReflectionService({});
  // Every type contains all files, so duplicates are removed before the service decodes them.
  const files = new Map(
    types.flatMap(({ fileDescriptorProtos }) =>
      fileDescriptorProtos.map((file) => [file.toString('base64'), file]),
    ),
  );
  const fileDescriptorProtos = [...files.values()].map((file) => serialize(completeFile(deserialize(file))));
  return new ReflectionService({ all: { ...type, fileDescriptorProtos } });
}

type TypeDefinition = Exclude<AnyDefinition, ServiceDefinition>;

const isType = (definition: AnyDefinition): definition is TypeDefinition =>
  'fileDescriptorProtos' in definition;

/** The one file into which the loader merges google/protobuf/. These packages import no other file. */
const WELL_KNOWN = 'google_protobuf.proto';

function completeFile(file: File): File {
  return {
    ...file,
    dependency: file.name === WELL_KNOWN ? [] : [WELL_KNOWN],
    messageType: (file.messageType ?? []).map(completeMessage),
  };
}

/** Sets the required names of map entries, and marks `optional` fields. */
function completeMessage(message: Message): Message {
  const { field = [], nestedType = [], oneofDecl = [] } = message;
  const entries = new Set(nestedType.filter(({ options }) => options?.mapEntry).map(({ name }) => name));
  return {
    ...message,
    field: field.map((one) => ({
      ...one,
      ...(one.typeName && entries.has(one.typeName) ? { typeName: entryName(one.typeName) } : {}),
      ...(oneofDecl[one.oneofIndex ?? -1]?.name === `_${one.name}` ? { proto3Optional: true } : {}),
    })),
    nestedType: nestedType.map((one) =>
      entries.has(one.name) ? { ...one, name: entryName(one.name) } : completeMessage(one),
    ),
  };
}

const entryName = (name: string) =>
  `${name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase())}Entry`;
