import {
  loadSync,
  type MessageTypeDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';

export const ORDER_SERVICE = 'sidecart.v1.OrderService';

/** The definitions of the .proto files. */
export interface Protocol {
  orderService: ServiceDefinition;
  /** Serializes a message of `google.rpc`. @throws Error for an invalid message */
  encode: (type: `google.rpc.${string}`, message: object) => Buffer;
  /** All definitions, for reflection. */
  definitions: PackageDefinition;
}

/**
 * Reads the .proto files of `protoDir`. Messages have the types in `generated`: original field names, absent `optional` fields,
 * int64 as numbers, and enums by name. Amounts of a shop fit into these numbers. `npm run generate` writes the types, with the
 * same options.
 *
 * @throws Error if a file is missing or invalid
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
