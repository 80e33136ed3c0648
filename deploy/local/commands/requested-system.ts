import { argumentsOf } from './arguments.ts';
import { dataFolders } from './data-folders.ts';
import { profileOf } from '../profiles/index.ts';
import { settings } from '../configuration/settings.ts';
import { readTemplate } from '../configuration/template.ts';

/** The system that `npm start` and `npm run dev` are asked for, and its folders. @throws Error that names what is wrong */
export function askedSystem() {
  const { profile: name } = argumentsOf({ profile: { type: 'string' } });
  const profile = profileOf(name);
  const offset = settings(readTemplate()).PORT_OFFSET ?? 0;
  return { profile, offset, ...dataFolders(offset, profile?.name) };
}
