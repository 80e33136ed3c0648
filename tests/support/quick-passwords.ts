import { createPasswords } from '../../services/users/passwords.ts';

/** At the least strength that argon2 has, for tests that are about something else: they spent a fifth of their time on hashes. */
export const quickPasswords = () => createPasswords({ memoryCost: 8, timeCost: 1, parallelism: 1 });
