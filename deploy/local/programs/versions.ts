/** The versions of programs that are downloaded or built. */
export const DAPR_RUNTIME_VERSION = '1.18.2';
export const DAPR_CLI_VERSION = '1.16.5';
export const ZIPKIN_VERSION = '3.5.1';
export const NATS_VERSION = '2.15.2';
/** services/decisions/0080-consul.md gives the reason for this version. */
export const CONSUL_VERSION = '1.14.11';
