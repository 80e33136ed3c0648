import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ensureFolder } from '../machine/paths.ts';

export interface Admin {
  email: string;
  password: string;
  /** Whether this program generated the password, and has to print it. */
  isGenerated: boolean;
}

/**
 * The first administrator: from ADMIN_EMAIL and ADMIN_PASSWORD, or generated. The data folder keeps a generated password,
 * because `users` keeps the account.
 */
export function findOrCreateAdmin(dataDir: string): Admin {
  const found = findAdmin(dataDir);
  if (found) return found;
  const file = adminFile(ensureFolder(dataDir));
  const admin = { email: 'admin@sidecart.example', password: randomBytes(12).toString('base64url') };
  // A full disk must not leave an incomplete file.
  const part = `${file}.${process.pid}`;
  writeFileSync(part, JSON.stringify(admin), { mode: 0o600 });
  renameSync(part, file);
  return { ...admin, isGenerated: true };
}

/** The first administrator; undefined if none is named or generated. */
export function findAdmin(dataDir: string): Admin | undefined {
  const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = process.env;
  if (email && password) return { email, password, isGenerated: false };
  const file = adminFile(dataDir);
  if (!existsSync(file)) return undefined;
  return { ...generatedAdminSchema.parse(JSON.parse(readFileSync(file, 'utf8'))), isGenerated: true };
}

const adminFile = (dataDir: string) => join(dataDir, 'admin.json');

const generatedAdminSchema = z.object({ email: z.string(), password: z.string() });

/** The environment variables that give the first administrator to `users`. */
export function adminEnv({ email, password }: Admin): Record<string, string> {
  return { ADMIN_EMAIL: email, ADMIN_PASSWORD: password };
}
