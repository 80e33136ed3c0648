import { installFromDebian } from '../../deploy/local/programs/debian.ts';
import { output } from '../../deploy/local/machine/processes.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Makes sure that there is a Chromium for the tests: the one of the machine, or, where we may, Debian's. */
export async function findOrInstallChromium(logDir: string, tell: (what: string) => void): Promise<void> {
  if (findChromium() !== undefined) return;
  const hint = 'Debian: sudo apt-get install chromium';
  await installFromDebian('chromium', { hint, logDir, tell });
}

/** The path of a Chromium; undefined where there is none. */
export function findChromium(): string | undefined {
  return NAMES.map((name) => output('which', name)?.trim()).find((path) => path);
}
