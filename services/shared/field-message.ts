import type { z } from 'zod';

const NOUNS: Readonly<Record<string, string>> = {
  array: 'an array',
  boolean: 'a boolean',
  int: 'an integer',
  number: 'a number',
  object: 'an object',
  string: 'a string',
};

/** States what a field must be, for the checks that come with Zod. A message of the schema itself takes precedence. */
export const fieldMessage: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is required';
      return `must be ${NOUNS[issue.expected] ?? `of the type ${issue.expected}`}`;
    case 'invalid_value':
      return issue.input === undefined ? 'is required' : `must be ${issue.values.map(String).join(' or ')}`;
    case 'invalid_format':
      return issue.format === 'uuid' ? 'must be a UUID' : undefined;
    case 'too_small':
      return bound('at least', Number(issue.minimum), issue.origin);
    case 'too_big':
      return bound('at most', Number(issue.maximum), issue.origin);
    default:
      return undefined;
  }
};

const COUNTED: Readonly<Record<string, string>> = { array: 'item', string: 'character' };

/** Bounds a length of texts and lists, and the value of numbers. */
function bound(words: 'at least' | 'at most', limit: number, origin: string): string {
  const unit = COUNTED[origin];
  return unit ? `must have ${words} ${limit} ${unit}${limit === 1 ? '' : 's'}` : `must be ${words} ${limit}`;
}
