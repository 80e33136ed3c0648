import { v7 as uuidv7 } from 'uuid';
import { withoutTrace } from '../shared/telemetry/request-context.ts';
import { createEventPublisher } from '../shared/dapr/event-publisher.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { orderBroadcasts } from './contract.ts';

/** Changes within this time share one small message, whatever the load. */
const BROADCAST_INTERVAL_MS = 200;
/** The orders in one message. Further ones follow in the next. */
const MAX_ORDERS = 1_000;

/**
 * Broadcasts to every gateway which orders have changed. A broadcast may get lost: the order's next event, or its watchdog,
 * supersedes it.
 */
export function createChangeFeed(deps: {
  sidecar: Pick<Sidecar, 'publish' | 'broadcast'>;
  log: Logger;
  now: () => Date;
}): (orderId: string, version: number) => void {
  const { sidecar, log, now } = deps;
  const { publish } = createEventPublisher(sidecar, orderBroadcasts);
  const pendingVersions = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    timer = undefined;
    const orders = [...pendingVersions].slice(0, MAX_ORDERS);
    for (const [orderId] of orders) pendingVersions.delete(orderId);
    if (pendingVersions.size > 0) scheduleFlush();
    const event = {
      id: uuidv7(),
      subject: 'orders',
      time: now().toISOString(),
      data: { changed: orders.map(([order_id, version]) => ({ order_id, version })) },
    };
    withoutTrace(() => publish('orders.changed', event)).catch((err: unknown) =>
      log.debug({ err }, 'broadcasting order changes failed'),
    );
  }

  function scheduleFlush(): void {
    timer ??= setTimeout(flush, BROADCAST_INTERVAL_MS);
  }

  return (orderId, version) => {
    pendingVersions.set(orderId, Math.max(version, pendingVersions.get(orderId) ?? 0));
    scheduleFlush();
  };
}
