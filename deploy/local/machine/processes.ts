import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findExitReason } from './exit-reason.ts';

/** A process that this program started. */
export interface RunningProcess {
  name: string;
  pid: number;
  logFile: string;
  /** Whether the process has exited, by itself or stopped. */
  hasExited: () => boolean;
  /** Resolves when the process has exited: to true if `stop` was called before. */
  exited: Promise<boolean>;
  /** Sends the signal, kills the process after `graceMs`, and resolves when it has exited. */
  stop: (signal?: NodeJS.Signals, graceMs?: number) => Promise<void>;
}

/** This program kills these process groups at its own exit, for example after an error during the start. */
const runningGroups = new Set<number>();
process.once('exit', () => runningGroups.forEach(killGroup));

/** A program may have started others, as `dapr run` does. They are in its process group. */
function killGroup(pid: number): void {
  if (pid < 1) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has exited already.
  }
}

/**
 * By default, each of a dozen Go programs uses all cores and searches them for work. That takes a fifth of the processor time
 * of an order, on two cores. The heap of a sidecar is small, so that it collects garbage for a tenth of its time by default.
 */
const GO_RUNTIME_ENV = {
  GOMAXPROCS: String(Math.ceil(availableParallelism() / 4)),
  GOGC: '200',
};

interface StartOptions {
  logDir: string;
  cwd?: string;
  env?: Record<string, string>;
  /** As in `os.setPriority`: a process with a higher value gets a processor later. By default that of this process. */
  niceness?: number | undefined;
}

/**
 * Starts a program in its own process group. Ctrl-C then reaches only this program, which stops the others in its order.
 * The output goes to `<logDir>/<name>.log`.
 */
export function startProcess(
  name: string,
  program: string,
  args: string[],
  options: StartOptions,
): RunningProcess {
  const logFile = join(options.logDir, `${name}.log`);
  const log = openSync(logFile, 'a');
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...GO_RUNTIME_ENV, ...process.env, ...options.env },
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  if (options.niceness !== undefined && child.pid !== undefined)
    void lowerPriority(child.pid, options.niceness);
  const pid = child.pid ?? -1;
  runningGroups.add(pid);
  let isStopping = false;
  let hasExited = false;
  const exited = new Promise<boolean>((resolve) => {
    const finish = () => {
      hasExited = true;
      runningGroups.delete(pid);
      killGroup(pid);
      resolve(isStopping);
    };
    child.once('exit', finish);
    child.once('error', ({ message }) => {
      // A missing program prints nothing.
      appendFileSync(logFile, `${message}\n`);
      finish();
    });
  });
  return {
    name,
    pid,
    logFile,
    hasExited: () => hasExited,
    exited,
    async stop(signal = 'SIGTERM', graceMs = 15_000) {
      isStopping = true;
      if (hasExited) return;
      child.kill(signal);
      if (await Promise.race([exited.then(() => true), delay(graceMs, false, { ref: false })])) return;
      killGroup(pid);
      await exited;
    },
  };
}

/** Without privileges, Linux accepts one such change per tenth of a second. A system has two dozen processes. */
const PRIORITY_ATTEMPTS = 50;

/**
 * Gives other processes priority over this one. Linux shares processors among sessions first, and each process that is started
 * here has its own session: "The autogroup feature" in https://man7.org/linux/man-pages/man7/sched.7.html. A value that cannot
 * be set stays unchanged.
 */
async function lowerPriority(pid: number, niceness: number): Promise<void> {
  try {
    // At once, because new threads inherit it.
    setPriority(pid, niceness);
  } catch {
    return;
  }
  for (let attempt = 0; attempt < PRIORITY_ATTEMPTS; attempt++) {
    try {
      writeFileSync(`/proc/${pid}/autogroup`, String(niceness));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      await delay(100, undefined, { ref: false });
    }
  }
}

/**
 * Runs a program until it exits, and appends its output to `logFile`.
 *
 * @throws Error that names the log file, if the exit status is not 0
 */
export async function runProgram(
  program: string,
  args: string[],
  options: { logFile: string; cwd?: string; env?: Record<string, string> },
): Promise<void> {
  const log = openSync(options.logFile, 'a');
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const killChild = () => child.kill();
  process.once('exit', killChild);
  const [code] = (await once(child, 'exit')) as [number | null];
  process.off('exit', killChild);
  if (code !== 0) throw new Error(`${program} ${args[0] ?? ''} failed; see ${options.logFile}`);
}

/** The output of a program; undefined if the program is missing or fails. */
export function readOutput(program: string, ...args: string[]): string | undefined {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? `${stdout}${stderr}` : undefined;
}

/** @throws Error with the reason, if the process has exited */
export function assertRunning({ name, logFile, hasExited }: RunningProcess): void {
  if (!hasExited()) return;
  const reason = findExitReason(readFileSync(logFile, 'utf8'));
  throw new Error(`${name} exited${reason && `: ${reason}`}; see ${logFile}`);
}

/**
 * Checks a condition every tenth of a second until it holds.
 *
 * @param condition a string is what is missing, for the error
 * @throws Error after `timeoutMs`, or at once if `process` has exited
 */
export async function waitFor(
  description: string,
  condition: () => Promise<boolean | string>,
  { timeoutMs = 60_000, process: awaited }: { timeoutMs?: number; process?: RunningProcess } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const outcome = await condition();
    if (outcome === true) return;
    if (awaited) assertRunning(awaited);
    if (performance.now() > deadline) {
      const missing = outcome === false ? '' : `: ${outcome}`;
      throw new Error(`waiting for ${description}: timed out after ${timeoutMs / 1000} s${missing}`);
    }
    await delay(100);
  }
}
