import { readSettings } from '../configuration/settings.ts';
import { readTemplate } from '../configuration/template.ts';
import { parseTwins } from '../programs/twins.ts';
import { findProfile } from '../profiles/index.ts';
import { parseArguments } from './arguments.ts';
import { createDataFolders } from './data-folders.ts';

/** The system that the arguments and settings of `npm start` and `npm run dev` describe. @throws Error that names the wrong value */
export function resolveRequestedSystem() {
  const {
    profile: name,
    observability = false,
    with: languages,
  } = parseArguments({
    profile: { type: 'string' },
    observability: { type: 'boolean' },
    with: { type: 'string' },
  });
  const twins = parseTwins(languages);
  const profile = findProfile(name);
  const offset = readSettings(readTemplate()).PORT_OFFSET ?? 0;
  return { profile, observability, twins, offset, ...createDataFolders(offset, profile?.name) };
}
