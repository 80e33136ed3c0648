import { cloudEvent } from '../shared/events.ts';
import type { Logger } from '../shared/log.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { userEvents } from './contract.ts';
import type { SessionStore } from './store/session-store.ts';
import { messageOf, type UserDocument } from './domain/user.ts';
import type { UserStore } from './store/user-store.ts';

/**
 * Completes changes of users. Nothing redelivers a request, so a job is scheduled before the first write. The job completes
 * and publishes what the request could not.
 */
export interface UserJob {
  /** Schedules the job of a version, saves the version, and completes the change, or leaves that to the job. */
  write: (next: UserDocument, write: () => Promise<void>) => Promise<void>;
  /** Publishes a version. */
  say: (document: UserDocument) => Promise<void>;
  /** Publishes a saved version and deletes its job, or leaves that to the job. */
  sayAndEnd: (document: UserDocument) => Promise<void>;
  /** Handles a run of the job. @param looks the number of runs without the version */
  look: (userId: string, version: number, looks: number) => Promise<void>;
}

/** The name of the job. Each version has its own job, so that the end of one job never deletes the next. */
const jobOf = ({ user_id, version }: { user_id: string; version: number }) => `user-${user_id}-${version}`;
const SCHEDULE = '@every 30s';
/**
 * The runs after which the request cannot be in progress any more, because its calls have shorter timeouts. The scheduler
 * counts the runs, which avoids comparing two clocks.
 */
const LOOKS_IN_VAIN = 4;

export function userJob(deps: {
  store: Pick<UserStore, 'load'>;
  endable: Pick<SessionStore, 'endAll'>;
  sidecar: Sidecar;
  log: Logger;
}): UserJob {
  const { store, endable, sidecar, log } = deps;

  const set = (document: { user_id: string; version: number }, dueTime: string, looks: number) =>
    sidecar.schedule(jobOf(document), { dueTime, schedule: SCHEDULE, data: { looks: String(looks) } });

  async function say(document: UserDocument): Promise<void> {
    const { user_id, version, changed_at } = document;
    const envelope = { id: `${user_id}:${version}`, subject: user_id, time: changed_at };
    await sidecar.publish(cloudEvent(userEvents, { ...envelope, ...messageOf(document) }));
  }

  /** Rejects the access tokens of ended sessions. Refreshes already fail once the account is saved. */
  async function endSessions({ user_id, sessions_ended }: UserDocument): Promise<void> {
    if (sessions_ended) await endable.endAll(user_id, sessions_ended);
  }

  async function orLeaveIt(work: () => Promise<void>): Promise<void> {
    await work().catch((err: unknown) => {
      log.error({ err }, 'publishing the user event failed; the job will retry');
    });
  }

  async function sayAndEnd(document: UserDocument): Promise<void> {
    await say(document);
    await sidecar.unschedule(jobOf(document));
  }

  return {
    say,
    sayAndEnd: (document) => orLeaveIt(() => sayAndEnd(document)),

    async write(next, write) {
      await set(next, '10s', 0);
      await write();
      // The version is saved, so the caller must not get an error.
      await orLeaveIt(async () => {
        await endSessions(next);
        await sayAndEnd(next);
      });
    },

    async look(userId, version, looks) {
      const document = (await store.load(userId))?.value;
      // If the document is older, the write of this job may be in progress, or never happened.
      const isWritten = document !== undefined && document.version >= version;
      if (!isWritten && looks < LOOKS_IN_VAIN) return set({ user_id: userId, version }, '30s', looks + 1);
      if (isWritten) {
        await endSessions(document);
        await say(document);
      }
      await sidecar.unschedule(jobOf({ user_id: userId, version }));
    },
  };
}
