import { z } from 'zod';
import { loadConfig } from '../../../services/shared/runtime/config.ts';
import { integer } from '../../../services/shared/runtime/settings.ts';
import { systemPorts } from './system-ports.ts';
import { readTemplate, type App } from './template.ts';

/** The highest shifted port is Zipkin's. The ports above are those of outgoing connections. */
export const LARGEST_OFFSET = 22_000;

/** PORT_OFFSET: the shift of all ports. */
export const portOffsetSetting = integer({ min: 0, max: LARGEST_OFFSET, example: 1_000 })
  .superRefine((offset, context) => {
    const problem = offsetProblem(offset);
    if (!problem) return;
    const { message, next } = problem;
    context.addIssue({ code: 'custom', message, params: { example: String(next ?? 0) } });
  })
  .optional();

/**
 * Reads PORT_OFFSET.
 *
 * @throws Error if the variable is no valid offset
 */
export function readPortOffset(fallback = 0): number {
  const { PORT_OFFSET } = loadConfig(z.object({ PORT_OFFSET: portOffsetSetting }), process.env);
  return PORT_OFFSET ?? fallback;
}

/** Ports from 1024 that `fetch` and browsers refuse: https://fetch.spec.whatwg.org/#port-blocking. */
export const BLOCKED_BY_FETCH: ReadonlySet<number> = new Set([
  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
  10080,
]);

/**
 * Why a system does not work at this offset, and the next offset at which it does. After the largest offset, the search
 * continues at 0. Undefined if the offset works.
 */
export function offsetProblem(
  offset: number,
  apps: readonly App[] = readTemplate().apps,
): { message: string; next: number | undefined } | undefined {
  const conflict = findConflict(offset, apps);
  if (conflict === undefined) return undefined;
  const count = LARGEST_OFFSET + 1;
  const others = Array.from({ length: count - 1 }, (_, index) => (offset + 1 + index) % count);
  const next = others.find((other) => findConflict(other, apps) === undefined);
  const advice = next === undefined ? 'no other offset works' : `use ${next} instead`;
  return { message: `does not work: ${conflict}; ${advice}`, next };
}

function findConflict(offset: number, apps: readonly App[]): string | undefined {
  const owners = new Map<number, string>();
  for (const { name, port, isHttp } of systemPorts(offset, apps)) {
    const other = owners.get(port);
    if (other !== undefined) return `${other} and ${name} would share port ${port}`;
    owners.set(port, name);
    if (isHttp && BLOCKED_BY_FETCH.has(port))
      return `${name} would get port ${port}, which fetch and browsers block`;
  }
  return undefined;
}
