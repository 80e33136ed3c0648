import { readOutput, runProgram } from '../machine/processes.ts';

/**
 * Installs a Debian package, if this user is root and the machine has apt-get.
 *
 * @param hint how to install the package by hand
 * @throws Error with the hint otherwise
 */
export async function installFromDebian(
  name: string,
  { hint, logDir, onProgress }: { hint: string; logDir: string; onProgress: (step: string) => void },
): Promise<void> {
  const mayInstall = process.getuid?.() === 0 && readOutput('apt-get', '--version') !== undefined;
  if (!mayInstall) throw new Error(`${name} is missing. Install it (${hint}).`);
  const logFile = `${logDir}/${name}-install.log`;
  onProgress(`installing ${name} with apt-get, log: ${logFile}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await runProgram('apt-get', ['update'], { logFile, env });
  await runProgram('apt-get', ['install', '-y', '--no-install-recommends', name], { logFile, env });
}
