import { statusAfter, TRANSITIONS, type OrderStatus, type TriggerType } from './state-machine.ts';
import { FINAL_STATUSES } from './statuses.ts';

/** The state machine as a Mermaid diagram: https://mermaid.js.org/syntax/stateDiagram.html. */
export function stateDiagram(): string {
  const triggers = new Map<string, TriggerType[]>();
  for (const { from, to, trigger } of edges()) {
    const edge = `${from} --> ${to}`;
    triggers.set(edge, [...(triggers.get(edge) ?? []), trigger]);
  }
  return [
    'stateDiagram-v2',
    '  [*] --> PENDING: POST /api/orders',
    ...Array.from(triggers, ([edge, types]) => `  ${edge}: ${types.join(', ')}`),
    ...Array.from(FINAL_STATUSES, (status) => `  ${status} --> [*]`),
    '',
  ].join('\n');
}

function edges(): { from: OrderStatus; to: OrderStatus; trigger: TriggerType }[] {
  return Object.entries(TRANSITIONS).flatMap(([type, { from, appends, overtakes }]) => {
    const overtaken = overtakes ? TRANSITIONS[overtakes].from : [];
    return [...from, ...overtaken].map((status) => ({
      from: status,
      to: statusAfter(appends) ?? status,
      trigger: type as TriggerType,
    }));
  });
}
