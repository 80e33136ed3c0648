/** The versions that are built or fetched where the machine has none. */
export const DAPR_RUNTIME = '1.18.2';
export const DAPR_CLI = '1.16.5';
export const ZIPKIN = '3.5.1';
export const NATS = '2.15.2';
/** services/decisions/0080-consul.md says why it is no newer one. */
export const CONSUL = '1.14.11';
