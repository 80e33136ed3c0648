import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  LARGEST_OFFSET,
  offsetProblem,
  portOffset,
  REFUSED_BY_FETCH,
  systemPorts,
} from '../../deploy/local/ports.ts';
import { readTemplate } from '../../deploy/local/template.ts';

const { apps } = readTemplate();
const OFFSETS = Array.from({ length: LARGEST_OFFSET + 1 }, (_, offset) => offset);

/** Of the linear list of offsets, those that the rule refuses. */
const refused = new Map(
  OFFSETS.flatMap((offset) => {
    const problem = offsetProblem(offset, apps);
    return problem ? [[offset, problem] as const] : [];
  }),
);

describe('the ports of a system', () => {
  it('When fetch is asked for a port of the list, then it refuses before it connects', async () => {
    for (const port of REFUSED_BY_FETCH)
      await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toMatchObject({
        cause: { message: 'bad port' },
      });
  });

  it('When any offset is taken, then either it is refused or no HTTP port is one of those and all ports differ', () => {
    for (const offset of OFFSETS) {
      const ports = systemPorts(offset, apps);
      const isShared = new Set(ports.map(({ port }) => port)).size < ports.length;
      const isRefusedByFetch = ports.some(({ port, isHttp }) => isHttp && REFUSED_BY_FETCH.has(port));
      expect([offset, refused.has(offset)]).toEqual([offset, isShared || isRefusedByFetch]);
    }
  });

  it('When an offset is shifted, then every port is below those that the system gives to outgoing connections', () => {
    const highest = Math.max(...systemPorts(LARGEST_OFFSET, apps).map(({ port }) => port));
    expect(highest).toBeLessThan(32_768);
  });

  it('When an offset is refused, then the next one that works is named', () => {
    expect(refused.size).toBeGreaterThan(100);
    for (const [offset, { next = -1, message }] of refused) {
      expect(OFFSETS.slice(offset).find((other) => !refused.has(other))).toBe(next);
      expect(message).toContain(`the next offset that works is ${next}`);
    }
  });

  it('When nothing is shifted, or by as much as the tests and the documents do, then it works', () => {
    const used = [
      0, 1_000, 2_600, 5_000, 7_000, 8_000, 9_000, 11_000, 12_000, 14_000, 16_000, 18_000, 20_000, 21_000,
    ];
    expect(used.filter((offset) => refused.has(offset))).toEqual([]);
  });

  it('When two services have the same port, then both are named, and no offset helps', () => {
    const [first, second] = apps;
    if (!first || !second) throw new Error('there are no services');
    const problem = offsetProblem(0, [first, { ...second, appPort: first.daprGRPCPort }]);
    expect(problem?.message).toContain(`${first.appID}'s sidecar, gRPC and ${second.appID} would share port`);
    expect(problem?.next).toBeUndefined();
  });
});

describe('PORT_OFFSET', () => {
  const set = (value: string) => {
    vi.stubEnv('PORT_OFFSET', value);
    onTestFinished(() => void vi.unstubAllEnvs());
  };

  it.each([
    [
      '2000',
      'gateway would get port 10080, which fetch and browsers refuse; the next offset that works is 2002',
    ],
    ['669', 'zipkin would get port 10080'],
    ['44', 'schedulerHealth would get port 4045'],
    ['1999', 'schedulerHealth would get port 6000'],
    ['22001', 'must be a whole number from 0 to 22000'],
    ['-1', 'must be a whole number from 0 to 22000'],
    ['1e3', 'must be a whole number from 0 to 22000'],
  ])('When it is %s, then the reason is said, with an offset that works', (value, reason) => {
    set(value);
    expect(() => portOffset()).toThrow(`PORT_OFFSET: `);
    expect(() => portOffset()).toThrow(reason);
    expect(() => portOffset()).toThrow(/For example: PORT_OFFSET=\d+$/);
  });

  it('When it is set, then it is taken, and where it is not, what the command usually takes', () => {
    set('1000');
    expect(portOffset(5_000)).toBe(1_000);
    set('');
    expect(portOffset(5_000)).toBe(5_000);
  });
});
