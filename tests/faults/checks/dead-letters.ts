import { bodyOf } from '../../../services/gateway/client.ts';
import { allOf, type Check } from './check.ts';

export const noDeadLetters: Check = {
  name: 'dead letters',
  promise: 'No message ended in the dead letters.',
  async verify({ people }) {
    const letters = await allOf(async (cursor) =>
      bodyOf(await people.admin('GET /api/admin/dead-letters', { query: { cursor, limit: 100 } })),
    );
    return { verified: 1, violations: letters.map(({ type, event_id }) => `${type} ${event_id}`) };
  },
};
