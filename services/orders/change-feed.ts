import { v7 as uuidv7 } from 'uuid';
import { cloudEvent } from '../shared/events.ts';
import { outOfTrace } from '../shared/context.ts';
import type { Logger } from '../shared/log.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { orderBroadcasts } from './contract.ts';

/** What changes within this time is told together: one small message, however much goes on. Milliseconds. */
const TOGETHER = 200;
/** Orders in one message; of more than that, the rest follows. */
const MAX_ORDERS = 1_000;

/**
 * Tells every gateway which orders have changed. It is told once and may get lost: a gateway that misses it hears of the
 * order with its next event, or when the order's job says the last one again.
 */
export function changeFeed(deps: {
  sidecar: Pick<Sidecar, 'broadcast'>;
  log: Logger;
  now: () => Date;
}): (orderId: string, version: number) => void {
  const { sidecar, log, now } = deps;
  const changed = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;

  function tell(): void {
    timer = undefined;
    const orders = [...changed].slice(0, MAX_ORDERS);
    for (const [orderId] of orders) changed.delete(orderId);
    if (changed.size > 0) tellSoon();
    const event = cloudEvent(orderBroadcasts, {
      id: uuidv7(),
      type: 'orders.changed',
      subject: 'orders',
      time: now().toISOString(),
      data: { changed: orders.map(([order_id, version]) => ({ order_id, version })) },
    });
    outOfTrace(() => sidecar.broadcast(event)).catch((err: unknown) =>
      log.debug({ err }, 'changes are not told to those who watch'),
    );
  }

  function tellSoon(): void {
    timer ??= setTimeout(tell, TOGETHER);
  }

  return (orderId, version) => {
    changed.set(orderId, Math.max(version, changed.get(orderId) ?? 0));
    tellSoon();
  };
}
