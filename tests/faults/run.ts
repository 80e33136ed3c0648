import { setMaxListeners } from 'node:events';
import { findProfile } from '../../deploy/local/profiles/index.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { titleOf, type Twin } from '../../deploy/local/programs/twins.ts';
import { describeMachine } from '../support/machine.ts';
import { runExperiment, type ExperimentResult, type ExperimentOptions } from './experiment.ts';
import type { Attack } from './attacks/attack.ts';
import { createFaultAttack } from './attacks/faults.ts';
import { createOverloadAttack } from './attacks/overload.ts';
import { createUpgradeAttack } from './attacks/upgrade.ts';
import type { FaultType } from './fault-types.ts';
import { findDelayedSteps, measureRecoveries } from './recovery.ts';
import { firstTrySuccessRateOf, type Report } from './report.ts';
import { createTestProducts, type TestProducts } from './test-products.ts';
import { startEnvironment, type Environment, type EnvironmentOptions } from './environment.ts';
import { countFailures } from './journal.ts';
import { tally } from './tally.ts';

export const MODES = ['faults', 'chaos', 'upgrade', 'overload'] as const;
/** `chaos`: faults, and every message twice, late and in any order. */
export type Mode = (typeof MODES)[number];

export interface RunOptions {
  seed: string;
  /** The duration of faults or overload. An upgrade ignores it. */
  seconds: number;
  mode: Mode;
  /** The profile of the system. */
  profile?: string | undefined;
  /** The services in other languages. */
  twins?: readonly Twin[] | undefined;
  /** The fault types, by name. By default, all that this machine supports. */
  only?: readonly string[] | undefined;
  /** The longest pause of a customer between two requests. By default, that of the scenario. More is less load. */
  thinkTimeMs?: number | undefined;
  portOffset: number;
  /** The parent of the folder with databases and logs, which remains. */
  scratch: string;
  signal: AbortSignal;
  print: (line: string) => void;
}

/** The settings of a mode. */
interface Scenario {
  environment: Pick<EnvironmentOptions, 'proxies' | 'replicas'>;
  load: Pick<ExperimentOptions, 'customers' | 'concurrency' | 'thinkTimeMs'>;
  /** The think time with a broker of a profile, which needs more processor time. */
  brokerThinkTimeMs?: number;
  /** Whether it uses the fault types of the environment. */
  usesFaultTypes: boolean;
  attack: (
    environment: Environment,
    faultTypes: readonly FaultType[],
    options: RunOptions,
    products: TestProducts,
  ) => Attack;
  /** The minimum share of successful first tries. With fewer, the checks prove little. */
  minSuccessRate: number;
}

const FAULTS_SCENARIO: Scenario = {
  environment: { proxies: false },
  // Many customers with long pauses: few customers would soon all wait for a frozen replica.
  load: { customers: 48, concurrency: 6, thinkTimeMs: 18_000 },
  brokerThinkTimeMs: 40_000,
  usesFaultTypes: true,
  attack: (_stage, faultTypes, { seed, seconds }) => createFaultAttack({ seed, seconds, faultTypes }),
  minSuccessRate: 0.7,
};

const SCENARIOS: Readonly<Record<Mode, Scenario>> = {
  faults: FAULTS_SCENARIO,
  chaos: { ...FAULTS_SCENARIO, environment: { proxies: true } },
  upgrade: {
    environment: {
      proxies: false,
      replicas: Object.fromEntries(readTemplate().apps.map(({ appID }) => [appID, 2])),
    },
    load: { customers: 16, thinkTimeMs: 1_500 },
    usesFaultTypes: false,
    attack: ({ system }) => createUpgradeAttack(system),
    minSuccessRate: 1,
  },
  overload: {
    environment: { proxies: false },
    // The attack sends its own requests in addition.
    load: { customers: 16, thinkTimeMs: 5_000 },
    usesFaultTypes: false,
    attack: (_stage, _kinds, { seconds }, products) => createOverloadAttack(products, seconds),
    minSuccessRate: 0,
  },
};

/** The minimum of accepted orders per second. With fewer, a run proves nothing. */
const MIN_ORDERS_PER_SECOND = 2;

/** Starts a system, runs the experiment and returns the report. */
export async function run(options: RunOptions): Promise<Report> {
  const { seed, mode, signal, print } = options;
  const scenario = SCENARIOS[mode];
  // Every fault listens to this signal.
  setMaxListeners(0, signal);
  const products = createTestProducts('shop');
  print(`Seed ${seed}. Starting a system at port ${8080 + options.portOffset} ...`);
  const environment = await startEnvironment({ ...options, ...scenario.environment, products: [products] });
  try {
    signal.throwIfAborted();
    if (mode === 'chaos') environment.setMessageChaos('duplicated and delayed');
    const isSelected = ({ name }: FaultType) =>
      scenario.usesFaultTypes && (options.only?.includes(name) ?? true);
    const faultTypes = environment.faultTypes.filter(isSelected);
    const result = await runExperiment(environment, {
      seed,
      products: products,
      ...scenario.load,
      thinkTimeMs: thinkTimeMsOf(scenario, options),
      attack: scenario.attack(environment, faultTypes, options, products),
      settleMs: 15_000,
      verifyTimeoutMs: 240_000,
      signal,
      print,
    });
    return createReport(options, environment, faultTypes, result);
  } finally {
    print('Stopping ...');
    await environment.close();
  }
}

function thinkTimeMsOf({ load, brokerThinkTimeMs }: Scenario, { profile, thinkTimeMs }: RunOptions): number {
  return thinkTimeMs ?? (findProfile(profile)?.broker ? brokerThinkTimeMs : undefined) ?? load.thinkTimeMs;
}

function createReport(
  options: RunOptions,
  environment: Environment,
  faultTypes: readonly FaultType[],
  result: ExperimentResult,
): Report {
  const { seed, mode } = options;
  const { journal, context, seconds, figures, checks, settledAfterMs } = result;
  const { minSuccessRate } = SCENARIOS[mode];
  const firstTrySuccessRate = firstTrySuccessRateOf(journal);
  const completedTypes = new Set(result.faults.map(({ type }) => type));
  // A short run has no time for every type.
  const missingTypes =
    result.faults.length < faultTypes.length
      ? []
      : faultTypes.filter(({ name }) => !completedTypes.has(name));
  return {
    seed,
    mode,
    profile: options.profile ?? 'redis and sqlite',
    twins: (options.twins ?? []).map(titleOf),
    date: new Date().toISOString(),
    machine: describeMachine(),
    seconds,
    faults: measureRecoveries(result.faults, journal.accepted, context.orders),
    unavailableFaultTypes: environment.unavailableFaultTypes,
    unexpectedExits: tally(result.unexpectedExits),
    requests: Object.fromEntries(journal.firstTries),
    failures: countFailures(journal.failures),
    firstTrySuccessRate,
    orders: tally([...context.orders.values()].map(({ order }) => order.status)),
    delayedSteps: findDelayedSteps(context.orders),
    settledAfterMs,
    figures,
    checks,
    inconclusiveReasons: [
      ...(firstTrySuccessRate >= minSuccessRate
        ? []
        : [`only ${Math.floor(1000 * firstTrySuccessRate) / 10} % of the first tries succeeded`]),
      ...(journal.accepted.size >= MIN_ORDERS_PER_SECOND * seconds
        ? []
        : [`only ${journal.accepted.size} orders`]),
      ...missingTypes.map(({ name }) => `no fault of type "${name}"`),
    ],
  };
}
