import { existsSync, statSync } from 'node:fs';
import { z } from 'zod';
import { baseConfig } from '../shared/runtime/config.ts';
import { setting } from '../shared/runtime/settings.ts';

const isFile = (path: string) => existsSync(path) && statSync(path).isFile();

export const config = baseConfig.extend({
  SEED_FILE: setting(
    'services/inventory/catalogue.json',
    z.string().refine(isFile, 'must be the path of a file that exists'),
  )
    .optional()
    .describe('The path of a catalogue to use instead of `catalogue.json`.'),
});
