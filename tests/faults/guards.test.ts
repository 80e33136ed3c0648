import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { act, type Act } from './act.ts';
import { faults } from './attacks/faults.ts';
import { GUARDS, takeOut, type Guard } from './guards.ts';
import { shelf } from './shelf.ts';
import { startStage, type Stage } from './stage.ts';

type Trial = Pick<Guard, 'name' | 'kinds' | 'targets' | 'mischief' | 'seconds' | 'actions'>;

/** What a run does with all guards in their place, to know that it is their absence that is seen. */
const NONE: Trial = {
  name: 'nothing',
  kinds: ['database locked', 'mail server frozen'],
  mischief: 'twice and late',
  actions: { cancel: 40 },
};

const scratch = mkdtempSync(join(ensureFolder(root, '.sidecart'), 'guards-'));
const dist = join(scratch, 'dist');
let stage: Stage;

beforeAll(async () => {
  cpSync(join(root, 'dist/services'), join(dist, 'services'), { recursive: true });
  stage = await startStage({
    portOffset: 14_000,
    scratch,
    dist,
    seed: 'guards',
    shelves: [NONE, ...GUARDS].map(({ name }) => shelfOf(name)),
    proxies: true,
  });
});
afterAll(async () => {
  await stage?.close();
  rmSync(scratch, { recursive: true, force: true });
});

const shelfOf = (name: string) => shelf(name.replaceAll(' ', '-'));

function attempt({ name, kinds, targets, mischief, seconds = 12, actions }: Trial): Promise<Act> {
  stage.mischief(mischief);
  return act(stage, {
    seed: name,
    shelf: shelfOf(name),
    attack: faults({
      seed: name,
      seconds,
      kinds: stage.kinds
        .filter((kind) => kinds.includes(kind.name))
        .map((kind) => ({
          ...kind,
          targets: kind.targets.filter((one) => targets?.includes(one.name) ?? true),
        })),
    }),
    customers: 12,
    restMs: 250,
    actions,
    settleMs: 0,
    // Without a guard, some of it is never as promised.
    quietMs: name === NONE.name ? 60_000 : 12_000,
    signal: new AbortController().signal,
    tell: () => {},
  });
}

async function restart(replicas: readonly string[]): Promise<void> {
  const services = replicas.map((name) => stage.system.app(name).service);
  await Promise.all(services.map((service) => service.stop('SIGKILL')));
  await Promise.all(services.map((service) => service.start()));
}

const violated = ({ checks }: Act) =>
  checks.filter(({ violations }) => violations.length > 0).map(({ name }) => name);

describe('the checks', () => {
  it('When every guard is in its place, then they find nothing', async () => {
    expect(violated(await attempt(NONE))).toEqual([]);
  });

  it.each(GUARDS)('When $name is missing, then they find that $breaks are not as promised', async (guard) => {
    const putBack = takeOut(guard, dist);
    try {
      await restart(guard.replicas);
      const found = await attempt(guard);
      expect(violated(found)).toContain(guard.breaks);
    } finally {
      putBack();
      await restart(guard.replicas);
    }
  });
});
