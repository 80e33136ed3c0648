import { readOutput } from '../../deploy/local/machine/processes.ts';
import { installFromDebian } from '../../deploy/local/programs/debian.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Finds a Chromium on this machine, or installs it from Debian if this user may. */
export async function findOrInstallChromium(
  logDir: string,
  onProgress: (step: string) => void,
): Promise<void> {
  if (findChromium() !== undefined) return;
  const hint = 'Debian: sudo apt-get install chromium';
  await installFromDebian('chromium', { hint, logDir, onProgress });
}

/** The path of a Chromium; undefined if it is missing. */
export function findChromium(): string | undefined {
  return NAMES.map((name) => readOutput('which', name)?.trim()).find((path) => path);
}
