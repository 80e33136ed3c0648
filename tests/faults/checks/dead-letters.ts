import { unwrap, type Client } from '../../../services/gateway/client/client.ts';
import { allOf, type Check } from './check.ts';

export const noDeadLetters: Check = {
  name: 'dead letters',
  promise: 'No message ended in the dead letters.',
  async verify({ people, lettersBefore }) {
    const since = (await deadLetters(people.admin)).filter(({ id }) => !lettersBefore.has(id));
    return { verified: 1, violations: since.map(({ what }) => what) };
  },
};

/** Every dead letter there is. When it came, only a clock could say, and that may have been set. */
export async function deadLetters(admin: Client): Promise<{ id: string; what: string }[]> {
  const letters = await allOf(async (cursor) =>
    unwrap(await admin('GET /api/admin/dead-letters', { query: { cursor, limit: 100 } })),
  );
  return letters.map(({ dead_letter_id: id, type, event_id }) => ({ id, what: `${type} ${event_id}` }));
}
