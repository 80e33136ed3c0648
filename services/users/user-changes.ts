import { createEventPublisher } from '../shared/dapr/event-publisher.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import type { StateOperation } from '../shared/dapr/state-store.ts';
import type { WorkList } from '../shared/dapr/work-list.ts';
import { addRequestFields } from '../shared/telemetry/request-context.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { userEvents } from './contract.ts';
import type { SessionStore } from './store/session-store.ts';
import { toUserEvent, type UserDocument } from './domain/user.ts';
import type { UserStore } from './store/user-store.ts';

/** Completes changes of users. Nothing redelivers a request, so a sweep repeats what a request may have left undone. */
export interface UserChanges {
  /**
   * Saves a version and completes the change, or leaves that to a sweep.
   *
   * @param save saves the version and the entry of the work list in one transaction
   */
  write: (next: UserDocument, save: (watch: StateOperation) => Promise<void>) => Promise<void>;
  /** Publishes a version. */
  publish: (document: UserDocument) => Promise<void>;
  /** Completes the last change of a user once more. Returns undefined, because one look is enough. */
  look: (userId: string) => Promise<undefined>;
}

/** A request takes less time, so its event is seldom published while the sweep looks. */
const FIRST_LOOK_MS = 10_000;

export function createUserChanges(deps: {
  store: Pick<UserStore, 'load'>;
  sessionStore: Pick<SessionStore, 'endAll'>;
  watched: Pick<WorkList, 'add'>;
  sidecar: Sidecar;
  log: Logger;
}): UserChanges {
  const { store, sessionStore, watched, sidecar, log } = deps;
  const events = createEventPublisher(sidecar, userEvents);

  async function publish(document: UserDocument): Promise<void> {
    const { user_id, version, changed_at } = document;
    const { type, data } = toUserEvent(document);
    await events.publish(type, { id: `${user_id}:${version}`, subject: user_id, time: changed_at, data });
  }

  async function complete(document: UserDocument): Promise<void> {
    const { user_id, sessions_ended } = document;
    // Rejects the access tokens of ended sessions. Refreshes already fail once the account is saved.
    if (sessions_ended) await sessionStore.endAll(user_id, sessions_ended);
    await publish(document);
  }

  return {
    publish,

    async write(next, save) {
      await save(watched.add(next.user_id, FIRST_LOOK_MS));
      // The version is saved, so the caller must not get an error.
      await complete(next).catch((err: unknown) =>
        log.error({ err }, 'completing the change of a user failed; the sweep will retry'),
      );
    },

    async look(userId) {
      addRequestFields({ user_id: userId });
      const document = (await store.load(userId))?.value;
      if (document) await complete(document);
      return undefined;
    },
  };
}
