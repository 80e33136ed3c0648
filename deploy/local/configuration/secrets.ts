import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { root } from '../machine/paths.ts';

/** The script that starts daprd with the tokens of its app. `dapr run` finds it by `runtimePath` in dapr.yaml. */
export const DAPRD_SCRIPT = join(root, 'deploy/local/dapr/.dapr/bin/daprd');

const secretsFolder = (dataDir: string) => join(dataDir, 'secrets');

/** The variable that gives `with-secrets` the folder of the tokens. */
export const secretsEnv = (dataDir: string): Record<string, string> => ({
  SIDECART_SECRETS: secretsFolder(dataDir),
});

/** A file in the folder of the tokens. */
export const secretFile = (dataDir: string, name: string): string => join(secretsFolder(dataDir), name);

const tokensSchema = z.object({ DAPR_API_TOKEN: z.string().min(1), APP_API_TOKEN: z.string().min(1) });

/** The tokens of a service. @throws Error if the service was never started */
export function readTokens(dataDir: string, appId: string): z.infer<typeof tokensSchema> {
  return tokensSchema.parse(parseEnv(readFileSync(join(secretsFolder(dataDir), `${appId}.env`), 'utf8')));
}
