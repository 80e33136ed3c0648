import { retryOnConflict, type StateStore } from '../../shared/dapr/state-store.ts';
import { isNewer, type Recipient } from '../domain/recipient.ts';

export interface RecipientStore {
  load: (userId: string) => Promise<Recipient | undefined>;
  /** Saves a recipient, unless a newer version is known. */
  save: (update: Recipient) => Promise<void>;
}

const key = (userId: string) => `recipient:${userId}`;

/** The recipients, as the events of `users` describe them. */
export function createRecipientStore(state: StateStore): RecipientStore {
  return {
    load: async (userId) => (await state.get<Recipient>(key(userId)))?.value,
    save: (update) =>
      retryOnConflict(async () => {
        const known = await state.get<Recipient>(key(update.user_id));
        if (!isNewer(known?.value, update)) return;
        await state.write({ op: 'put', key: key(update.user_id), value: update, etag: known?.etag });
      }),
  };
}
