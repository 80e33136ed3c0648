import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ProblemError } from '../../services/shared/http/problem.ts';
import { id, inDigits } from '../../services/shared/schemas/types.ts';
import { parseBody, parseQuery } from '../../services/shared/http/validation.ts';

const body = z.strictObject({
  quantity: z.int().min(1).max(10),
  name: z.string().min(2).max(3).optional(),
  items: z.array(z.string()).min(1).max(2).optional(),
  status: z.enum(['PAID', 'SHIPPED']).optional(),
  user_id: id.optional(),
  code: z.string().regex(/^A/, 'must begin with A').optional(),
});

function errorsOf(parse: () => unknown): ProblemError['errors'] {
  try {
    parse();
  } catch (error) {
    if (error instanceof ProblemError) return error.errors;
    throw error;
  }
  return undefined;
}

describe('The message about a field', () => {
  it.each<[given: object, field: string, message: string]>([
    [{}, 'quantity', 'is required'],
    [{ quantity: '2' }, 'quantity', 'must be a number'],
    [{ quantity: 1.5 }, 'quantity', 'must be an integer'],
    [{ quantity: 0 }, 'quantity', 'must be at least 1'],
    [{ quantity: 11 }, 'quantity', 'must be at most 10'],
    [{ quantity: 1, name: 'A' }, 'name', 'must have at least 2 characters'],
    [{ quantity: 1, name: 'Adam' }, 'name', 'must have at most 3 characters'],
    [{ quantity: 1, items: [] }, 'items', 'must have at least 1 item'],
    [{ quantity: 1, items: 5 }, 'items', 'must be an array'],
    [{ quantity: 1, status: 'LOST' }, 'status', 'must be PAID or SHIPPED'],
    [{ quantity: 1, user_id: 'ada' }, 'user_id', 'must be a UUID'],
    [{ quantity: 1, code: 'B' }, 'code', 'must begin with A'],
    [{ quantity: 1, colour: 'blue' }, 'colour', 'is not a known field'],
  ])('states what to change when the body is %j', (given, field, message) => {
    expect(errorsOf(() => parseBody(body, given))).toEqual([{ field, message }]);
  });

  it('states what to change when a parameter of the query is not a number', () => {
    const query = z.object({ limit: inDigits(z.int().min(1)) });
    expect(errorsOf(() => parseQuery(query, { limit: 'all' }))).toEqual([
      { field: 'limit', message: 'must be a number' },
    ]);
  });
});
