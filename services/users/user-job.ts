import { cloudEvent } from '../shared/events.ts';
import type { Logger } from '../shared/log.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { userEvents } from './contract.ts';
import type { SessionStore } from './store/session-store.ts';
import { messageOf, type UserDocument } from './domain/user.ts';
import type { UserStore } from './store/user-store.ts';

/**
 * A caller has no redelivery as a message has. So a job is set before anything is written; it does and says what the request does
 * not come to.
 */
export interface UserJob {
  /** Sets the job of a version, writes it, and does what follows, or leaves that to the job. */
  write: (next: UserDocument, write: () => Promise<void>) => Promise<void>;
  /** Publishes a version. */
  say: (document: UserDocument) => Promise<void>;
  /** Publishes a version that was written before, and ends its job, or leaves that to the job. */
  sayAndEnd: (document: UserDocument) => Promise<void>;
  /** What the job of a version does when it fires. @param looks how often it has looked in vain */
  look: (userId: string, version: number, looks: number) => Promise<void>;
}

/** A job a version, so that the end of one never takes away the job of the next. */
const jobOf = ({ user_id, version }: { user_id: string; version: number }) => `user-${user_id}-${version}`;
const SCHEDULE = '@every 30s';
/**
 * After two minutes a request cannot be under way any more; each of its calls has a far shorter limit. The scheduler counts them:
 * the clock of whoever set the job may differ from that of whoever looks.
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

  /** Nothing is refreshed any more once the account is written; this gets the access tokens refused too. */
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
      // It is written: whoever asked for it must not be told otherwise.
      await orLeaveIt(async () => {
        await endSessions(next);
        await sayAndEnd(next);
      });
    },

    async look(userId, version, looks) {
      const document = (await store.load(userId))?.value;
      // Where the document is older, the write that this job was set for may still be under way, or never happened.
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
