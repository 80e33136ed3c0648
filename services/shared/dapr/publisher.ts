import { LRUCache } from 'lru-cache';
import { outgoingHeaders } from '../telemetry/request-context.ts';
import type { CloudEvent } from './cloud-event.ts';
import { createBatcher } from '../util/batcher.ts';
import { sidecarError, SidecarError, type SidecarRequest, type SidecarResponse } from './sidecar-call.ts';

interface Outgoing {
  event: CloudEvent;
  /** The W3C trace context of the caller. Each event of a bulk has its own. */
  traceparent: string | undefined;
}

type Outcome = 'published' | 'failed';

/** @param options.again publishes the event even if this process has just published it, for example for a redrive */
export type Publish = (event: CloudEvent, options?: { again?: boolean }) => Promise<void>;

/** The maximum of remembered events. */
const DEDUPLICATION_CACHE_SIZE = 10_000;

/**
 * Publishes events to the topics named like their types. Events of one topic are published in bulk while a call is in
 * progress (https://docs.dapr.io/developing-applications/building-blocks/pubsub/pubsub-bulk/).
 *
 * An event that this process has just published is not published again. A handler republishes on every redelivery, and
 * without this window each duplicate would multiply along the saga (services/decisions/0120-no-transactional-outbox.md).
 *
 * @param deduplicationWindowMs how long an event (by its id and type) is not published again. It must be shorter than the watchdog's
 *   interval. 0 disables the window.
 */
export function createPublisher(
  request: (call: SidecarRequest) => Promise<SidecarResponse>,
  component: string,
  deduplicationWindowMs: number,
): Publish {
  const recentlyPublished =
    deduplicationWindowMs > 0
      ? new LRUCache<string, true>({ max: DEDUPLICATION_CACHE_SIZE, ttl: deduplicationWindowMs })
      : undefined;
  const topics = new Map<string, (outgoing: Outgoing) => Promise<Outcome>>();

  async function publishSingle(topic: string, { event }: Outgoing): Promise<Outcome> {
    const response = await request({
      method: 'POST',
      path: `/v1.0/publish/${component}/${topic}`,
      headers: { 'content-type': CLOUD_EVENT },
      body: JSON.stringify(event),
    });
    if (response.status >= 300) throw sidecarError(`publish ${topic}`, response);
    return 'published';
  }

  async function publishBulk(topic: string, outgoing: readonly Outgoing[]): Promise<Outcome[]> {
    const entries = outgoing.map(({ event, traceparent }, position) => ({
      entryId: String(position),
      // Without `traceid`, the sidecar sets the same trace for all events.
      event: traceparent === undefined ? event : { ...event, traceparent, traceid: traceparent },
      contentType: CLOUD_EVENT,
    }));
    const response = await request({
      method: 'POST',
      path: `/v1.0-alpha1/publish/bulk/${component}/${topic}`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(entries),
    });
    if (response.status < 300) return outgoing.map(() => 'published');
    const failed = failedEntries(response);
    if (failed.size === 0) throw sidecarError(`publish ${topic}`, response);
    return entries.map(({ entryId }) => (failed.has(entryId) ? 'failed' : 'published'));
  }

  function batcherFor(topic: string): (outgoing: Outgoing) => Promise<Outcome> {
    const known = topics.get(topic);
    if (known) return known;
    const made = createBatcher<Outgoing, Outcome>(async (batch) => {
      const [first] = batch;
      return batch.length === 1 && first ? [await publishSingle(topic, first)] : publishBulk(topic, batch);
    });
    topics.set(topic, made);
    return made;
  }

  return async (event, { again = false } = {}) => {
    const name = `${event.type} ${event.id}`;
    if (!again && recentlyPublished?.has(name)) return;
    const { traceparent } = outgoingHeaders();
    const outcome = await batcherFor(event.type)({ event, traceparent });
    if (outcome === 'failed')
      throw new SidecarError(`publish ${event.type}`, 500, 'ERR_PUBSUB_PUBLISH_MESSAGE');
    recentlyPublished?.set(name, true);
  };
}

const CLOUD_EVENT = 'application/cloudevents+json';

function failedEntries({ body }: SidecarResponse): Set<string> {
  try {
    const { failedEntries: failed = [] } = JSON.parse(body.toString()) as {
      failedEntries?: { entryId: string }[];
    };
    return new Set(failed.map(({ entryId }) => entryId));
  } catch {
    return new Set();
  }
}
