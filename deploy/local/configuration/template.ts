import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { root } from '../machine/paths.ts';

const appSchema = z.looseObject({
  appID: z.string(),
  appPort: z.int(),
  daprHTTPPort: z.int(),
  daprGRPCPort: z.int(),
  daprInternalGRPCPort: z.int(),
  metricsPort: z.int(),
  command: z.array(z.string()).min(1),
  /** Only an app with workflows has one. */
  placementHostAddress: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
});
export type App = z.infer<typeof appSchema>;

/** dapr.yaml: https://docs.dapr.io/developing-applications/local-development/multi-app-dapr-run/multi-app-template/. */
const templateSchema = z.looseObject({
  version: z.literal(1),
  common: z.looseObject({
    resourcesPaths: z.array(z.string()),
    configFilePath: z.string(),
    runtimePath: z.string(),
    apiListenAddresses: z.string(),
    schedulerHostAddress: z.string(),
    readBufferSize: z.string(),
    appHealthCheckPath: z.string(),
    appHealthProbeInterval: z.int(),
    appHealthProbeTimeout: z.int(),
    appHealthThreshold: z.int(),
    env: z.record(z.string(), z.string()),
  }),
  apps: z.array(appSchema),
});
export type Template = z.infer<typeof templateSchema>;

/** The committed dapr.yaml. */
export function readTemplate(): Template {
  return templateSchema.parse(parse(readFileSync(join(root, 'dapr.yaml'), 'utf8')));
}
