import { baseConfig } from '../shared/runtime/config.ts';
import { days, integer, port } from '../shared/runtime/settings.ts';

export const config = baseConfig.extend({
  DAPR_GRPC_PORT: port(50_001)
    .default(50_001)
    .describe('The port of the gRPC API of the sidecar, which workflows use.'),
  RETURN_WINDOW_DAYS: days(30).default(30).describe('How long after its delivery an order can be returned.'),
  RETURN_PARCEL_DAYS: days(14)
    .default(14)
    .describe('How long after its approval a return expires, unless its parcel has arrived.'),
  RETURN_AUTO_APPROVAL_AMOUNT: integer({ min: 0, max: 1_000_000_000, example: 2_000 })
    .default(2_000)
    .describe('The highest price of a return that needs no approval by a person, in minor units.'),
  RETURN_SWEEP_SECONDS: integer({ min: 1, max: 3_600, example: 20 })
    .default(20)
    .describe('The interval at which stopped workflows of returns are found and resumed.'),
});
