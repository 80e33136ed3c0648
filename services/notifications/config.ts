import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';

export const config = baseConfig.extend({
  /** The components that send mail, by their names (components/email.yaml): so many mails leave at a time. */
  EMAIL_BINDINGS: z
    .string()
    .default('email,email-2,email-3,email-4')
    .transform((names) => names.split(',').map((name) => name.trim()))
    .pipe(z.array(z.string().min(1)).min(1)),
});
