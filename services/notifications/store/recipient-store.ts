import { retryOnConflict, type StateStore } from '../../shared/dapr/state-store.ts';
import { isNewer, type Recipient } from '../domain/recipient.ts';

export interface RecipientStore {
  load: (userId: string) => Promise<Recipient | undefined>;
  /** Saves a recipient, unless a newer version is known. */
  save: (told: Recipient) => Promise<void>;
}

const key = (userId: string) => `recipient:${userId}`;

/** The recipients, as the events of `users` describe them. */
export function createRecipientStore(state: StateStore): RecipientStore {
  return {
    load: async (userId) => (await state.get<Recipient>(key(userId)))?.value,
    save: (told) =>
      retryOnConflict(async () => {
        const known = await state.get<Recipient>(key(told.user_id));
        if (!isNewer(known?.value, told)) return;
        await state.write({ op: 'put', key: key(told.user_id), value: told, etag: known?.etag });
      }),
  };
}
