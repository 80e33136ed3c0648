import { retryOnConflict, type StateStore } from '../../shared/dapr/state-store.ts';
import { isNewer, type Recipient } from '../domain/recipient.ts';

export interface RecipientStore {
  /** Saves a recipient, unless a newer version is known. */
  save: (update: Recipient) => Promise<void>;
}

export const recipientKey = (userId: string) => `recipient:${userId}`;

/** The recipients, as the events of `users` describe them. */
export function createRecipientStore(state: StateStore): RecipientStore {
  return {
    save: (update) =>
      retryOnConflict(async () => {
        const key = recipientKey(update.user_id);
        const known = await state.get<Recipient>(key);
        if (!isNewer(known?.value, update)) return;
        await state.write({ op: 'put', key, value: update, etag: known?.etag });
      }),
  };
}
