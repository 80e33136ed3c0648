import { createEventPublisher } from '../shared/dapr/event-publisher.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { userEvents } from './contract.ts';
import type { SessionStore } from './store/session-store.ts';
import { toUserEvent, type UserDocument } from './domain/user.ts';
import type { UserStore } from './store/user-store.ts';

/**
 * Completes changes of users. Nothing redelivers a request, so a job is scheduled before the first write. The job completes
 * and publishes what the request could not.
 */
export interface UserJob {
  /** Schedules the job of a version, saves the version, and completes the change, or leaves that to the job. */
  write: (next: UserDocument, write: () => Promise<void>) => Promise<void>;
  /** Publishes a version. */
  publish: (document: UserDocument) => Promise<void>;
  /** Publishes a saved version and deletes its job, or leaves that to the job. */
  publishAndCancel: (document: UserDocument) => Promise<void>;
  /** Handles a run of the job. @param checks the number of runs without the version */
  check: (userId: string, version: number, checks: number) => Promise<void>;
}

/** The name of the job. Each version has its own job, so that the end of one job never deletes the next. */
const jobOf = ({ user_id, version }: { user_id: string; version: number }) => `user-${user_id}-${version}`;
const SCHEDULE = '@every 30s';
/**
 * The runs after which the request cannot be in progress any more, because its calls have shorter timeouts. The scheduler
 * counts the runs, which avoids comparing two clocks.
 */
const MAX_CHECKS_WITHOUT_VERSION = 4;

export function createUserJob(deps: {
  store: Pick<UserStore, 'load'>;
  sessionStore: Pick<SessionStore, 'endAll'>;
  sidecar: Sidecar;
  log: Logger;
}): UserJob {
  const { store, sessionStore, sidecar, log } = deps;

  const events = createEventPublisher(sidecar, userEvents);

  const schedule = (document: { user_id: string; version: number }, dueTime: string, checks: number) =>
    sidecar.scheduleJob(jobOf(document), { dueTime, schedule: SCHEDULE, data: { checks: String(checks) } });

  async function publish(document: UserDocument): Promise<void> {
    const { user_id, version, changed_at } = document;
    const { type, data } = toUserEvent(document);
    await events.publish(type, { id: `${user_id}:${version}`, subject: user_id, time: changed_at, data });
  }

  /** Rejects the access tokens of ended sessions. Refreshes already fail once the account is saved. */
  async function endSessions({ user_id, sessions_ended }: UserDocument): Promise<void> {
    if (sessions_ended) await sessionStore.endAll(user_id, sessions_ended);
  }

  async function orLeaveToJob(work: () => Promise<void>): Promise<void> {
    await work().catch((err: unknown) => {
      log.error({ err }, 'publishing the user event failed; the job will retry');
    });
  }

  async function publishAndCancel(document: UserDocument): Promise<void> {
    await publish(document);
    await sidecar.deleteJob(jobOf(document));
  }

  return {
    publish,
    publishAndCancel: (document) => orLeaveToJob(() => publishAndCancel(document)),

    async write(next, write) {
      await schedule(next, '10s', 0);
      await write();
      // The version is saved, so the caller must not get an error.
      await orLeaveToJob(async () => {
        await endSessions(next);
        await publishAndCancel(next);
      });
    },

    async check(userId, version, checks) {
      const document = (await store.load(userId))?.value;
      // If the document is older, the write of this job may be in progress, or never happened.
      const isWritten = document !== undefined && document.version >= version;
      if (!isWritten && checks < MAX_CHECKS_WITHOUT_VERSION)
        return schedule({ user_id: userId, version }, '30s', checks + 1);
      if (isWritten) {
        await endSessions(document);
        await publish(document);
      }
      await sidecar.deleteJob(jobOf({ user_id: userId, version }));
    },
  };
}
