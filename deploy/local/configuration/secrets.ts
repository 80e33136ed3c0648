import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { root } from '../machine/paths.ts';

/** What starts daprd with the tokens of its app: `dapr run` finds it by `runtimePath` in dapr.yaml. */
export const DAPRD = join(root, 'deploy/local/dapr/.dapr/bin/daprd');

const folderOf = (dataDir: string) => join(dataDir, 'secrets');

/** Tells `with-secrets` where the tokens of the system in this folder are kept. */
export const secretsIn = (dataDir: string): Record<string, string> => ({
  SIDECART_SECRETS: folderOf(dataDir),
});

/** A file beside those tokens. */
export const secretFile = (dataDir: string, name: string): string => join(folderOf(dataDir), name);

const tokens = z.object({ DAPR_API_TOKEN: z.string().min(1), APP_API_TOKEN: z.string().min(1) });

/** The tokens of a service that has been started. @throws Error where it never was */
export function tokensOf(dataDir: string, appId: string): z.infer<typeof tokens> {
  return tokens.parse(parseEnv(readFileSync(join(folderOf(dataDir), `${appId}.env`), 'utf8')));
}
