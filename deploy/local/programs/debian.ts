import { output, run } from '../machine/processes.ts';

/**
 * Installs a package of Debian, where we may.
 *
 * @param hint how to install it by hand
 * @throws Error with the hint where we may not
 */
export async function installFromDebian(
  name: string,
  { hint, logDir, tell }: { hint: string; logDir: string; tell: (what: string) => void },
): Promise<void> {
  const mayInstall = process.getuid?.() === 0 && output('apt-get', '--version') !== undefined;
  if (!mayInstall) throw new Error(`${name} is missing. Install it (${hint}).`);
  const logFile = `${logDir}/${name}-install.log`;
  tell(`installing ${name} with apt-get, log: ${logFile}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update'], { logFile, env });
  await run('apt-get', ['install', '-y', '--no-install-recommends', name], { logFile, env });
}
