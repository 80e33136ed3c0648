import { createRecallingStore } from './recall.ts';
import type { StateEntry, StateOperation, StateStore } from './state-store.ts';

/** Documents of one kind, each with a key of its own. */
export interface DocumentStore<Document> {
  load: (id: string) => Promise<StateEntry<Document> | undefined>;
  /** The version that this process loaded last, which may be outdated. See `RecallingStore`. */
  recall: (id: string) => StateEntry<Document> | undefined;
  /**
   * Saves a new document, or the next version of the one that was loaded.
   *
   * @param before the loaded document; undefined if the document must not exist
   * @param others writes that belong to the same transaction
   * @throws ConflictError if the stored document is not `before`
   */
  save: (
    document: Document,
    before: StateEntry<Document> | undefined,
    ...others: StateOperation[]
  ) => Promise<void>;
}

/** @param kind the first part of each key, which is `<kind>:<id>` */
export function createDocumentStore<Document>(
  state: StateStore,
  kind: string,
  idOf: (document: Document) => string,
): DocumentStore<Document> {
  const recalling = createRecallingStore(state);
  const keyOf = (id: string) => `${kind}:${id}`;
  return {
    load: (id) => recalling.get<Document>(keyOf(id)),
    recall: (id) => recalling.recall<Document>(keyOf(id)),
    save: (document, before, ...others) =>
      recalling.write(
        { op: 'put', key: keyOf(idOf(document)), value: document, etag: before?.etag },
        ...others,
      ),
  };
}
