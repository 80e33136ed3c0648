import { createPasswords } from '../../services/users/passwords.ts';

/** Password hashing at argon2's lowest cost, for tests that are about something else. */
export const createFastPasswords = () => createPasswords({ memoryCost: 8, timeCost: 1, parallelism: 1 });
