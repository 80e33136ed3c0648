import { parseTwins, type Twin } from '../../deploy/local/programs/twins.ts';

/** The variable in which a command passes its `--with` to vitest. */
const VARIABLE = 'TWINS';

/** For a command that runs vitest. */
export function passTwinsToTests(languages: string | undefined): void {
  if (languages !== undefined) process.env[VARIABLE] = languages;
}

/** For a test: the twins that its system runs. */
export const requestedTwins = (): Twin[] => parseTwins(process.env[VARIABLE]);

/** For `startSystem`: the commands of these twins, by app id. It takes a second if they were prepared before. */
export async function commandsOf(twins: readonly Twin[]): Promise<Record<string, readonly string[]>> {
  const commands = twins.map(async ({ service, prepare }) => [service, await prepare(() => {})] as const);
  return Object.fromEntries(await Promise.all(commands));
}

/** The twin that replaces this service or a replica of it, such as `payments-2`. */
export const twinOf = (twins: readonly Twin[], name: string): Twin | undefined =>
  twins.find(({ service }) => service === name.replace(/-\d+$/, ''));
