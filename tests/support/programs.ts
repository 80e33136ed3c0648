import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** Runs a program to its end, and lets this process go on meanwhile: it may be the server that the program asks. */
export async function ranProgram(
  program: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Ended> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [code, out, err] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, out, err };
}

/** Puts programs of these names into a folder that is meant for the front of PATH: each is a Bash script. */
export function putPrograms(folder: string, programs: Record<string, string>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/usr/bin/env bash\nset -eu\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }
}
