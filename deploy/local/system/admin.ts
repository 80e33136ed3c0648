import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { folder } from '../machine/paths.ts';

export interface Admin {
  email: string;
  password: string;
  /** Whoever gave the password knows it. */
  isMadeUp: boolean;
}

/**
 * The first administrator: from ADMIN_EMAIL and ADMIN_PASSWORD, or made up. What was made up is kept in the data folder,
 * since users keeps the account too.
 */
export function adminOf(dataDir: string): Admin {
  const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = process.env;
  if (email && password) return { email, password, isMadeUp: false };
  const file = join(folder(dataDir), 'admin.json');
  if (existsSync(file)) return { ...madeUp.parse(JSON.parse(readFileSync(file, 'utf8'))), isMadeUp: true };
  const admin = { email: 'admin@sidecart.example', password: randomBytes(12).toString('base64url') };
  // A full disk must not leave half of it.
  const part = `${file}.${process.pid}`;
  writeFileSync(part, JSON.stringify(admin), { mode: 0o600 });
  renameSync(part, file);
  return { ...admin, isMadeUp: true };
}

const madeUp = z.object({ email: z.string(), password: z.string() });

/** How users, and no other process, is told of the first administrator. */
export function adminEnv({ email, password }: Admin): Record<string, string> {
  return { ADMIN_EMAIL: email, ADMIN_PASSWORD: password };
}
