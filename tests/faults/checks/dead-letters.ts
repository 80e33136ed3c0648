import { unwrap, type Client } from '../../../services/gateway/client/client.ts';
import { listAll, type Check } from './check.ts';

export const noDeadLetters: Check = {
  name: 'dead letters',
  promise: 'No message became a dead letter.',
  async verify({ users, knownDeadLetters }) {
    const added = (await listDeadLetters(users.admin)).filter(({ id }) => !knownDeadLetters.has(id));
    return { verified: 1, violations: added.map(({ description }) => description) };
  },
};

/** All dead letters. Their times are ignored, because a clock may have been set. */
export async function listDeadLetters(admin: Client): Promise<{ id: string; description: string }[]> {
  const deadLetters = await listAll(async (cursor) =>
    unwrap(await admin('GET /api/admin/dead-letters', { query: { cursor, limit: 100 } })),
  );
  return deadLetters.map(({ dead_letter_id: id, type, event_id }) => ({
    id,
    description: `${type} ${event_id}`,
  }));
}
