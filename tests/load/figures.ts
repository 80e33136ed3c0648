import { mean, type Measurements, type Round } from './measures.ts';
import type { Usage } from './processes.ts';
import {
  createMinimumRatio,
  createMaximumRatio,
  createMaximum,
  createFigure,
  createUnchanged,
  type Figure,
} from './report.ts';

/** The maximum resident memory of a service at the end. */
const MAX_SERVICE_MEMORY_MB = 110;
const MAX_STREAMS_MEMORY_MB = 60;

/** The measurements with their targets. */
export function figuresOf(measurements: Measurements, processes: readonly Usage[]): Figure[] {
  const { empty, stored } = measurements;
  const chain = mean(empty.flatMap((round) => round.chain));
  const publishAndReceiveMs = mean(measurements.publishAndReceiveMs);
  const withStoredOrders = `with ${measurements.storedOrders.toLocaleString('en')} orders stored`;
  const meanOfRounds = (rounds: Round[], figure: 'reads' | 'posts' | 'completed') =>
    mean(rounds.map((round) => round[figure]));
  /** Adjusts the second rounds to the speed of the machine in the first, by the bare chains of both. */
  const adjusted = (figure: 'reads' | 'posts' | 'completed') =>
    (meanOfRounds(stored, figure) * chain) / mean(stored.flatMap((round) => round.chain));

  return [
    createFigure('bare chain', chain, '/s'),
    {
      label: 'bare chain, slowest and fastest',
      value: `${Math.round(Math.min(...measurements.chains))} - ${Math.round(Math.max(...measurements.chains))} /s`,
    },
    createFigure('bare publish', measurements.publish, '/s'),
    createFigure('bare publish and receive, one at a time', publishAndReceiveMs, 'ms'),
    createFigure('bare transaction of two documents', measurements.transaction, '/s'),
    createMinimumRatio('GET /api/orders/:id', meanOfRounds(empty, 'reads'), '/s', chain, 0.7, 'chain'),
    createMinimumRatio('POST /api/orders', meanOfRounds(empty, 'posts'), '/s', chain, 0.25, 'chain'),
    createMinimumRatio('completed orders', meanOfRounds(empty, 'completed'), '/s', chain, 0.1, 'chain'),
    createMaximumRatio(
      'one order at a time until paid',
      mean(measurements.singleMs),
      'ms',
      publishAndReceiveMs,
      12,
      'publish and receive',
    ),
    createMinimumRatio(
      'completed orders, one product',
      mean(measurements.hot),
      '/s',
      meanOfRounds(empty, 'completed'),
      0.8,
      '1,000 products',
    ),
    createMaximum(
      'memory of 1,000 event streams',
      measurements.streams.memoryMb,
      'MB',
      MAX_STREAMS_MEMORY_MB,
    ),
    createMinimumRatio(
      'completed orders, 1,000 event streams',
      mean(measurements.streams.open),
      '/s',
      mean(measurements.streams.closed),
      0.9,
      'without streams',
    ),
    createUnchanged(
      `GET /api/orders/:id, ${withStoredOrders}`,
      adjusted('reads'),
      '/s',
      meanOfRounds(empty, 'reads'),
    ),
    createUnchanged(
      `POST /api/orders, ${withStoredOrders}`,
      adjusted('posts'),
      '/s',
      meanOfRounds(empty, 'posts'),
    ),
    createUnchanged(
      `completed orders, ${withStoredOrders}`,
      adjusted('completed'),
      '/s',
      meanOfRounds(empty, 'completed'),
    ),
    createMaximum('failed requests', measurements.failures, '', 0),
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
    ...services.map(({ name, memoryMb }) =>
      createMaximum(`memory of ${name}`, memoryMb, 'MB', MAX_SERVICE_MEMORY_MB),
    ),
    ...sidecars.map(({ name, memoryMb }) => createFigure(`memory of ${name}`, memoryMb, 'MB')),
  ];
}
