import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { orderStatus } from '../../services/orders/contract.ts';
import { stateDiagram } from '../../services/orders/domain/state-diagram.ts';

describe('the diagram of the state machine', () => {
  it('shows every way through it', () => {
    const lines = stateDiagram()
      .split('\n')
      .map((line) => line.trim());

    expect(lines).toEqual(
      expect.arrayContaining([
        'PENDING --> RESERVED: inventory.reserved',
        'PAID --> SHIPPED: shipment.dispatched, mark-shipped',
        'PAID --> DELIVERED: shipment.delivered',
        'SHIPPED --> SHIPPED: payment.refunded, return.refunded',
        'DELIVERED --> [*]',
      ]),
    );
  });
});

describe('the gRPC description', () => {
  it('has the statuses of the state machine', () => {
    const proto = readFileSync('services/gateway/grpc/order_service.proto', 'utf8');
    const names = [...proto.matchAll(/^  ORDER_STATUS_([A-Z_]+) = \d+;$/gm)].map(([, name]) => name);

    expect(new Set(names)).toEqual(new Set(['UNSPECIFIED', ...orderStatus.options]));
  });
});
