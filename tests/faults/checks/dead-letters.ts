import { bodyOf } from '../../../services/gateway/client.ts';
import { allOf, type Check } from './check.ts';

export const noDeadLetters: Check = {
  name: 'dead letters',
  promise: 'No message ended in the dead letters.',
  async verify({ people, began }) {
    const letters = await allOf(async (cursor) =>
      bodyOf(await people.admin('GET /api/admin/dead-letters', { query: { cursor, limit: 100 } })),
    );
    const since = letters.filter(({ received_at }) => Date.parse(received_at) >= began);
    return { verified: 1, violations: since.map(({ type, event_id }) => `${type} ${event_id}`) };
  },
};
