import { createClient } from '@redis/client';
import { ACCESS, DEAD_LETTERS } from '../../../services/access.ts';
import { isRedis } from '../infrastructure/redis.ts';
import { respondsAtLast, RESTART, type CheckedSystem } from './checked-system.ts';
import { countOf, findingsOf, skipped, type Finding, type Problem } from './finding.ts';

const CHECK = 'backlog';
/** A restart of a service takes less. */
const MAX_AGE_MS = 30_000;

type Redis = Awaited<ReturnType<typeof connect>>;

async function connect(port: number) {
  const client = createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: false } });
  client.on('error', () => {});
  return client.connect();
}

/** Messages of a topic that a service has not acknowledged. */
interface Waiting {
  app: string;
  topic: string;
  /** Undefined if the service has no consumer group, or Redis does not know the number. */
  count: number | undefined;
  oldestAgeMs: number;
  hasGroup: boolean;
}

/** Whether Redis responds, and every service keeps up with its messages. */
export async function checkBacklog({ ports, profile }: CheckedSystem): Promise<Finding[]> {
  if (profile?.broker) return [skipped(CHECK, `The broker is ${profile.broker}. Only Redis is supported.`)];
  if (!(await respondsAtLast(() => isRedis(ports.redis))))
    return findingsOf(
      CHECK,
      [
        {
          message: `Redis does not respond on port ${ports.redis}. No event is published or received.`,
          advice: `See redis.log in the logs of the data. Orders continue when Redis is back. ${RESTART}`,
        },
      ],
      '',
    );
  const redis = await connect(ports.redis);
  try {
    const waiting = await readWaiting(redis);
    const count = waiting.reduce((sum, one) => sum + (one.count ?? 0), 0);
    return findingsOf(
      CHECK,
      waiting.flatMap(problemOf),
      `${countOf(count, 'message')} in all topics together`,
    );
  } finally {
    redis.destroy();
  }
}

async function readWaiting(redis: Redis): Promise<Waiting[]> {
  const topics = ACCESS.flatMap(({ app, subscribes }) =>
    subscribes
      .filter(({ component }) => component === DEAD_LETTERS.component)
      .map(({ name: topic }) => ({ app, topic })),
  );
  const [seconds = '0', microseconds = '0'] = (await redis.sendCommand(['TIME'])) as unknown as string[];
  const now = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  return Promise.all(
    topics.map(async ({ app, topic }) => {
      const groups = await redis.xInfoGroups(topic).catch(() => []);
      const group = groups.find(({ name }) => name === app);
      if (!group) return { app, topic, count: undefined, oldestAgeMs: 0, hasGroup: false };
      const { firstId: pending } = await redis.xPending(topic, app);
      const undelivered = await redis.xRange(topic, `(${group['last-delivered-id']}`, '+', { COUNT: 1 });
      const ids = [pending, undelivered?.[0]?.id].filter((id) => typeof id === 'string');
      const oldest = Math.min(now, ...ids.map((id) => Number(id.split('-')[0])));
      const lag = (group.lag as number | null) ?? undefined;
      const count = lag === undefined ? undefined : group.pending + lag;
      return { app, topic, count, oldestAgeMs: now - oldest, hasGroup: true };
    }),
  );
}

function problemOf({ app, topic, count, oldestAgeMs, hasGroup }: Waiting): Problem[] {
  if (!hasGroup)
    return [
      {
        message: `${app} has no consumer group for ${topic}, so it does not receive these messages.`,
        advice: `Redis may have lost its data. The sidecar of ${app} creates the group at its start. ${RESTART}`,
      },
    ];
  if (oldestAgeMs <= MAX_AGE_MS) return [];
  const messages = count === undefined ? 'messages' : countOf(count, 'message');
  return [
    {
      message: `${app} has not processed ${messages} of ${topic}, the oldest for ${Math.round(oldestAgeMs / 1_000)} s.`,
      advice: `See whether ${app} runs, and search its log for ${topic}. A message that fails for five minutes becomes a dead letter.`,
    },
  ];
}
