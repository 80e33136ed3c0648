import { createBatcher } from '../../shared/util/batcher.ts';
import { createPagedIndex } from '../../shared/dapr/paged-index.ts';
import { retryOnConflict, type StateStore, type StateOperation } from '../../shared/dapr/state-store.ts';
import type { DeadLetter } from '../contract.ts';

export interface DeadLetterStore {
  /** Saves a dead letter once. Resolves to whether it was new. */
  keep: (letter: DeadLetter) => Promise<boolean>;
  load: (id: string) => Promise<DeadLetter | undefined>;
  /** A page of dead letters, newest first. */
  list: (
    cursor: string | undefined,
    limit: number,
  ) => Promise<{ items: DeadLetter[]; nextCursor: string | null }>;
  /** Counts a redrive, and returns the updated dead letter. */
  countRedrive: (id: string) => Promise<DeadLetter | undefined>;
}

const letterKey = (id: string) => `dead-letter:${id}`;

export function createDeadLetterStore(state: StateStore): DeadLetterStore {
  const index = createPagedIndex(state, 'dead-letters');

  async function keepAll(letters: DeadLetter[]): Promise<boolean[]> {
    const byKey = new Map(letters.map((letter) => [letterKey(letter.dead_letter_id), letter]));
    const stored = await state.getMany<DeadLetter>([...byKey.keys()]);
    const fresh = [...byKey].filter(([key]) => !stored.has(key));
    if (fresh.length > 0)
      await state.write(
        ...fresh.map(([key, value]): StateOperation => ({ op: 'put', key, value })),
        ...(await index.append(fresh.map(([, { dead_letter_id }]) => dead_letter_id))),
      );
    const first = new Set(fresh.map(([, letter]) => letter));
    return letters.map((letter) => first.has(letter));
  }

  return {
    keep: createBatcher((letters) => retryOnConflict(() => keepAll(letters))),
    async load(id) {
      return (await state.get<DeadLetter>(letterKey(id)))?.value;
    },
    async list(cursor, limit) {
      const { ids, nextCursor } = await index.page(cursor, limit);
      const found = await state.getMany<DeadLetter>(ids.map(letterKey));
      return { items: ids.flatMap((id) => found.get(letterKey(id))?.value ?? []), nextCursor };
    },
    countRedrive: (id) =>
      retryOnConflict(async () => {
        const stored = await state.get<DeadLetter>(letterKey(id));
        if (!stored) return undefined;
        const letter = { ...stored.value, redriven: stored.value.redriven + 1 };
        await state.write({ op: 'put', key: letterKey(id), value: letter, etag: stored.etag });
        return letter;
      }),
  };
}
