import {
  loadSync,
  type MessageTypeDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';

export const ORDER_SERVICE = 'sidecart.v1.OrderService';

/** What the .proto files describe. */
export interface Protocol {
  orderService: ServiceDefinition;
  /** The bytes of a message of `google.rpc`. @throws Error where it is no such message */
  encode: (type: `google.rpc.${string}`, message: object) => Buffer;
  /** All of it, for reflection. */
  definitions: PackageDefinition;
}

/**
 * Reads the .proto files of `protoDir`. Messages come as `messages.ts` has them: fields by their own names, `optional`
 * ones only where they are given, int64 as numbers, which the sums of a shop do not outgrow, enums by name.
 *
 * @throws Error where a file is missing or wrong
 */
export function loadProtocol(protoDir: string): Protocol {
  const definitions = loadSync(
    ['order_service.proto', 'google/rpc/status.proto', 'google/rpc/error_details.proto', healthProto],
    { includeDirs: [protoDir], keepCase: true, longs: Number, enums: String, defaults: true },
  );
  return {
    orderService: definitions[ORDER_SERVICE] as ServiceDefinition,
    encode: (type, message) =>
      (definitions[type] as MessageTypeDefinition<object, object>).serialize(message),
    definitions,
  };
}
