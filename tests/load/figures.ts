import { mean, type Measured, type Round } from './measures.ts';
import type { Usage } from './processes.ts';
import { atLeast, atMost, below, plain, unchanged, type Figure } from './report.ts';

/** Resident memory that a service may have in the end. Megabytes. */
const MEMORY_LIMIT = 110;
const STREAMS_MEMORY_LIMIT = 60;

/** What was measured beside what it should be. */
export function figuresOf(measured: Measured, processes: readonly Usage[]): Figure[] {
  const { empty, stored } = measured;
  const chain = mean(empty.flatMap((round) => round.chain));
  const receive = mean(measured.publishAndReceiveMs);
  const many = `with ${measured.storedOrders.toLocaleString('en')} orders stored`;
  const of = (rounds: Round[], figure: 'reads' | 'posts' | 'completed') =>
    mean(rounds.map((round) => round[figure]));
  /** What it would have been on the machine as it was before: both are taken by the bare chain of their time. */
  const adjusted = (figure: 'reads' | 'posts' | 'completed') =>
    (of(stored, figure) * chain) / mean(stored.flatMap((round) => round.chain));

  return [
    plain('bare chain', chain, '/s'),
    {
      what: 'bare chain, slowest and fastest',
      value: `${Math.round(Math.min(...measured.chains))} - ${Math.round(Math.max(...measured.chains))} /s`,
    },
    plain('bare publish', measured.publish, '/s'),
    plain('bare publish and receive, one alone', receive, 'ms'),
    plain('bare transaction of two documents', measured.transaction, '/s'),
    atLeast('GET /api/orders/:id', of(empty, 'reads'), '/s', chain, 0.7, 'chain'),
    atLeast('POST /api/orders', of(empty, 'posts'), '/s', chain, 0.25, 'chain'),
    atLeast('completed orders', of(empty, 'completed'), '/s', chain, 0.1, 'chain'),
    atMost('one order alone until paid', mean(measured.singleMs), 'ms', receive, 12, 'publish and receive'),
    atLeast('completed orders, one product', mean(measured.hot), '/s', of(empty, 'completed'), 0.8, 'spread'),
    below('memory of 1,000 event streams', measured.streams.memoryMb, 'MB', STREAMS_MEMORY_LIMIT),
    atLeast(
      'completed orders, 1,000 event streams open',
      mean(measured.streams.open),
      '/s',
      mean(measured.streams.closed),
      0.9,
      'without',
    ),
    unchanged(`GET /api/orders/:id, ${many}`, adjusted('reads'), '/s', of(empty, 'reads')),
    unchanged(`POST /api/orders, ${many}`, adjusted('posts'), '/s', of(empty, 'posts')),
    unchanged(`completed orders, ${many}`, adjusted('completed'), '/s', of(empty, 'completed')),
    below('requests that failed', measured.failures, '', 0),
    ...memory(processes),
  ];
}

function memory(processes: readonly Usage[]): Figure[] {
  const isSidecar = ({ name }: Usage) => name.endsWith('-sidecar') && !name.startsWith('bare');
  const sidecars = processes.filter(isSidecar);
  const services = processes.filter(({ name }) =>
    sidecars.some((sidecar) => sidecar.name === `${name}-sidecar`),
  );
  return [
    ...services.map(({ name, memoryMb }) => below(`memory of ${name}`, memoryMb, 'MB', MEMORY_LIMIT)),
    ...sidecars.map(({ name, memoryMb }) => plain(`memory of ${name}`, memoryMb, 'MB')),
  ];
}
