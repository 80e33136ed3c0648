import { z } from 'zod';
import { baseConfig } from '../shared/runtime/config.ts';
import { list } from '../shared/runtime/settings.ts';

const BINDINGS = ['email', 'email-2', 'email-3', 'email-4', 'email-5', 'email-6', 'email-7', 'email-8'];
const bindingName = z
  .string()
  .regex(
    /^[a-z\d]([a-z\d.-]*[a-z\d])?$/,
    'must be the name of a component: small letters, digits, dots and hyphens',
  );

export const config = baseConfig.extend({
  EMAIL_BINDINGS: list(BINDINGS.join(','), bindingName)
    .default(BINDINGS)
    .describe('The names of the e-mail components (components/email.yaml). Each sends one e-mail at a time.'),
});
