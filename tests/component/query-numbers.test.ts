import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SERVICES } from '../../services/services.ts';

/** Every integer in a query, including internal routes. */
const numbers = SERVICES.flatMap(({ api }) =>
  Object.entries(api).flatMap(([address, { query }]) => {
    if (!query) return [];
    const { properties } = z.toJSONSchema(query, { io: 'input' }) as {
      properties: Record<string, { type?: string; minimum?: number; maximum?: number }>;
    };
    return Object.entries(properties).flatMap(([name, { type, minimum, maximum }]) =>
      type === 'integer' ? [{ address, name, minimum, maximum, schema: query.shape[name] as z.ZodType }] : [],
    );
  }),
);

describe('whole numbers in queries', () => {
  it('When they are counted, then those of lists and of stuck orders are included', () => {
    const found = numbers.map(({ address, name }) => `${address} ${name}`);
    expect(found).toContain('GET /api/orders limit');
    expect(found).toContain('GET /api/admin/orders idle_seconds');
    expect(found).toContain('GET /orders/:id/changes after');
  });

  it.each(numbers)('When $name of $address is in digits, then it is parsed', ({ schema }) => {
    expect(schema.parse('5')).toBe(5);
  });

  it.each(numbers)('When $name of $address is out of bounds, then it is rejected', (number) => {
    const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER, schema } = number;
    for (const outside of [minimum - 1, maximum + 1])
      expect([outside, schema.safeParse(String(outside)).success]).toEqual([outside, false]);
  });

  it.each(numbers)('When $name of $address has another spelling, then it is rejected', ({ schema }) => {
    const spellings = ['', ' ', ' 5', '5 ', '+5', '05', '5.0', '5.5', '5e0', '0x5', '5n', 'true', ['5']];
    expect(spellings.filter((text) => schema.safeParse(text).success)).toEqual([]);
  });
});
