import { z } from 'zod';

/** The state of `createPagedIndex`, for the `api.ts` of a service: `...indexState('products', 'products')`. */
export const indexState = (name: string, what: string) => ({
  [`index:${name}`]: {
    description: `The number of ${what} in the list.`,
    schema: z.strictObject({ count: z.int().min(0) }),
    transaction: 'with the listed document and the last page',
  },
  [`index:${name}:{page}`]: {
    description: `The ids of ${what}, oldest first, in pages of 100 from page 0 on. Only the last page has fewer.`,
    schema: z.array(z.string()).min(1).max(100),
    transaction: 'with the listed document and the number',
  },
});
