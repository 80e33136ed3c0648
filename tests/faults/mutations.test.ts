import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { titleOf } from '../../deploy/local/programs/twins.ts';
import { runExperiment, type ExperimentResult } from './experiment.ts';
import { createFaultAttack } from './attacks/faults.ts';
import { MUTATIONS, applyMutation, type Mutation } from './mutations.ts';
import { createTestProducts } from './test-products.ts';
import { requestedTwins, twinOf } from '../support/twins.ts';
import { startEnvironment, type Environment } from './environment.ts';

type Trial = Pick<Mutation, 'name' | 'faultTypes' | 'targets' | 'messageChaos' | 'seconds' | 'actions'>;

/** The control: without a mutation, the checks have to pass. */
const NO_MUTATION: Trial = {
  name: 'nothing',
  faultTypes: ['database locked', 'mail server frozen'],
  messageChaos: 'duplicated and delayed',
  actions: { cancel: 40 },
};

const twins = requestedTwins();
const scratch = mkdtempSync(join(ensureFolder(root, '.sidecart'), 'mutations-'));
const dist = join(scratch, 'dist');
let environment: Environment;

beforeAll(async () => {
  cpSync(join(root, 'dist/services'), join(dist, 'services'), { recursive: true });
  environment = await startEnvironment({
    portOffset: 14_000,
    scratch,
    dist,
    seed: 'mutations',
    twins,
    products: [NO_MUTATION, ...MUTATIONS].map(({ name }) => productsOf(name)),
    proxies: true,
  });
});
afterAll(async () => {
  await environment?.close();
  rmSync(scratch, { recursive: true, force: true });
});

const productsOf = (name: string) => createTestProducts(name.replaceAll(' ', '-'));

function runTrial({
  name,
  faultTypes,
  targets,
  messageChaos,
  seconds = 12,
  actions,
}: Trial): Promise<ExperimentResult> {
  environment.setMessageChaos(messageChaos);
  return runExperiment(environment, {
    seed: name,
    products: productsOf(name),
    attack: createFaultAttack({
      seed: name,
      seconds,
      faultTypes: environment.faultTypes
        .filter((faultType) => faultTypes.includes(faultType.name))
        .map((faultType) => ({
          ...faultType,
          targets: faultType.targets.filter((target) => targets?.includes(target.name) ?? true),
        })),
    }),
    customers: 12,
    thinkTimeMs: 250,
    actions,
    settleMs: 0,
    // With a mutation, some promises never become true.
    verifyTimeoutMs: name === NO_MUTATION.name ? 60_000 : 12_000,
    signal: new AbortController().signal,
    print: () => {},
  });
}

async function restart(replicas: readonly string[]): Promise<void> {
  const services = replicas.map((name) => environment.system.app(name).service);
  await Promise.all(services.map((service) => service.stop('SIGKILL')));
  await Promise.all(services.map((service) => service.start()));
}

const violatedChecks = ({ checks }: ExperimentResult) =>
  checks.filter(({ violations }) => violations.length > 0).map(({ name }) => name);

describe('the checks', () => {
  it('When there is no mutation, then they find no violation', async () => {
    expect(violatedChecks(await runTrial(NO_MUTATION))).toEqual([]);
  });

  it.for(MUTATIONS)(
    'When $name is disabled, then a check of $violatedChecks fails',
    async (mutation, { skip }) => {
      const [twin] = mutation.replicas.flatMap((name) => twinOf(twins, name) ?? []);
      if (twin) skip(`${titleOf(twin)} does not run the code with this guard`);
      const revert = applyMutation(mutation, dist);
      try {
        await restart(mutation.replicas);
        const violated = violatedChecks(await runTrial(mutation));
        const detected = violated.filter((check) => mutation.violatedChecks.includes(check));
        expect(detected, `violated: ${violated.join(', ')}`).not.toEqual([]);
      } finally {
        revert();
        await restart(mutation.replicas);
      }
    },
  );
});
