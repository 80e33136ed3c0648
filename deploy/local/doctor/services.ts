import { z } from 'zod';
import { findPortHolder } from '../machine/port-holder.ts';
import { get, logOf, parseJson, RESTART, type CheckedApp, type CheckedSystem } from './checked-system.ts';
import { findingsOf, skipped, type Finding, type Problem } from './finding.ts';

const aliveSchema = z.object({ status: z.literal('ok') });
const readySchema = z.object({ open_breakers: z.array(z.string()).default([]) });
const problemSchema = z.object({ detail: z.string() });

/** Whether every service runs and is ready, and the circuit breakers of its sidecar are closed. */
export async function checkServices({ apps }: CheckedSystem): Promise<Finding[]> {
  const problems = await Promise.all(apps.map(problemsOfService));
  return findingsOf('services', problems.flat(), `all ${apps.length} run and are ready`);
}

async function problemsOfService({ name, appPort, readyPort }: CheckedApp): Promise<Problem[]> {
  const alive = await get(appPort, '/healthz');
  if (alive === 'refused')
    return [
      {
        message: `${name} does not run: nothing listens on port ${appPort}.`,
        advice: `${logOf(name)} ${RESTART}`,
      },
    ];
  const holder = findPortHolder(appPort) ?? 'a program';
  if (alive === 'silent')
    return [
      {
        message: `${name} does not respond on port ${appPort}, which belongs to ${holder}.`,
        advice: `It may be overloaded, or stopped by a debugger or a signal. ${logOf(name)} If it stays silent, kill it. ${RESTART}`,
      },
    ];
  if (!aliveSchema.safeParse(parseJson(alive.text)).success)
    return [
      {
        message: `Port ${appPort} of ${name} belongs to another program: ${holder}.`,
        advice: 'Stop that program, or shift all ports of the system: PORT_OFFSET=1000 npm start.',
      },
    ];
  const ready = await get(readyPort, '/readyz');
  const text = typeof ready === 'string' ? '' : ready.text;
  if (typeof ready === 'string' || ready.status !== 200) {
    const detail = problemSchema.safeParse(parseJson(text)).data?.detail ?? 'no response from /readyz';
    return [
      {
        message: `${name} is not ready: ${detail}`,
        advice: `It waits for its sidecar or its state store. See the other findings first. ${logOf(name)}`,
      },
    ];
  }
  const { open_breakers } = readySchema.safeParse(parseJson(text)).data ?? { open_breakers: [] };
  return open_breakers.map((target) => ({
    message: `The sidecar of ${name} has stopped calling ${target}: its circuit breaker is open.`,
    advice: `Several calls to ${target} failed in a row. See whether it runs. The breaker closes by itself.`,
  }));
}

const MAX_CLOCK_DIFFERENCE_MS = 2_000;

/** Whether the clocks of all services agree: services/decisions/0051-clocks.md. */
export async function checkClocks({ apps }: CheckedSystem): Promise<Finding[]> {
  const measured = await Promise.all(
    apps.map(async ({ name, appPort }) => {
      const startedAt = Date.now();
      const reply = await get(appPort, '/healthz');
      const date = typeof reply === 'string' ? NaN : Date.parse(reply.headers.get('date') ?? '');
      return { name, differenceMs: differenceOf(date, startedAt, Date.now()) };
    }),
  );
  const known = measured.filter(({ differenceMs }) => !Number.isNaN(differenceMs));
  if (known.length === 0) return [skipped('clocks', 'No service responds.')];
  const wrong = known.filter(({ differenceMs }) => Math.abs(differenceMs) > MAX_CLOCK_DIFFERENCE_MS);
  return findingsOf(
    'clocks',
    wrong.map(({ name, differenceMs }) => ({
      message: `The clock of ${name} is ${Math.round(Math.abs(differenceMs) / 1_000)} s ${differenceMs > 0 ? 'ahead of' : 'behind'} this machine's clock.`,
      advice:
        'Correct the clocks, for example with chrony. Orders may expire too early or too late meanwhile.',
    })),
    `all agree with this machine's clock within ${MAX_CLOCK_DIFFERENCE_MS / 1_000} s`,
  );
}

/** The least difference that explains a Date header, which omits milliseconds, in a response between these times. */
function differenceOf(date: number, startedAt: number, endedAt: number): number {
  if (date > endedAt) return date - endedAt;
  return Math.min(0, date + 1_000 - startedAt);
}
