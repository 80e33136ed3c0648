import { z } from 'zod';
import { inDigits } from './types.ts';

/** The query parameters of every list. */
export const pageQuery = z.object({
  cursor: z.string().max(64).optional(),
  limit: inDigits(z.int().min(1).max(100)).prefault(20),
});
