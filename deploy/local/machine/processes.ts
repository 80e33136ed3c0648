import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { lastWords } from './exit-reason.ts';

/** A process that this program started. */
export interface Running {
  name: string;
  pid: number;
  logFile: string;
  /** Whether it has ended, by itself or not. */
  hasEnded: () => boolean;
  /** Resolves when it has ended: to whether it had been asked to. */
  ended: Promise<boolean>;
  /** Asks it to end, makes it after `graceMs`, and resolves when it has. */
  stop: (signal?: NodeJS.Signals, graceMs?: number) => Promise<void>;
}

/** Whoever ends before these have been stopped, by an error or in the middle of starting them, leaves none behind. */
const alive = new Set<number>();
process.once('exit', () => alive.forEach(killGroup));

/** A program may have started others (`dapr run` does): they are in its group. */
function killGroup(pid: number): void {
  if (pid < 1) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
}

/**
 * A dozen Go programs that each think of all cores as their own look for work on them instead of doing it: that took a
 * fifth of the processor time of an order, on two cores. And a sidecar keeps so little in memory that it would collect
 * garbage for a tenth of its time.
 */
const GO = { GOMAXPROCS: String(Math.ceil(availableParallelism() / 4)), GOGC: '200' };

interface StartOptions {
  logDir: string;
  cwd?: string;
  env?: Record<string, string>;
  /** As `os.setPriority` has it: the higher, the later it gets a processor. Not given: as this process. */
  niceness?: number | undefined;
}

/**
 * Starts a program in a process group of its own, so that Ctrl-C reaches only us and things end in our order. What it
 * prints goes to `<logDir>/<name>.log`.
 */
export function start(name: string, program: string, args: string[], options: StartOptions): Running {
  const logFile = join(options.logDir, `${name}.log`);
  const log = openSync(logFile, 'a');
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...GO, ...process.env, ...options.env },
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  if (options.niceness !== undefined && child.pid !== undefined) void standBack(child.pid, options.niceness);
  const pid = child.pid ?? -1;
  alive.add(pid);
  let asked = false;
  let hasEnded = false;
  const ended = new Promise<boolean>((resolve) => {
    const finish = () => {
      hasEnded = true;
      alive.delete(pid);
      killGroup(pid);
      resolve(asked);
    };
    child.once('exit', finish);
    child.once('error', ({ message }) => {
      // A program that is not there prints nothing.
      appendFileSync(logFile, `${message}\n`);
      finish();
    });
  });
  return {
    name,
    pid,
    logFile,
    hasEnded: () => hasEnded,
    ended,
    async stop(signal = 'SIGTERM', graceMs = 15_000) {
      asked = true;
      if (hasEnded) return;
      child.kill(signal);
      if (await Promise.race([ended.then(() => true), delay(graceMs, false, { ref: false })])) return;
      killGroup(pid);
      await ended;
    },
  };
}

/** Without privileges, a process may set one in a tenth of a second; that is for a system's two dozen. */
const TRIES = 50;

/**
 * Has others get a processor first. Linux shares processors among sessions before it looks at processes, and what is started
 * here has a session of its own: "The autogroup feature" in https://man7.org/linux/man-pages/man7/sched.7.html. What cannot be
 * set stays as it is.
 */
async function standBack(pid: number, niceness: number): Promise<void> {
  try {
    // At once: threads take it over from the one that starts them.
    setPriority(pid, niceness);
  } catch {
    return;
  }
  for (let tries = 0; tries < TRIES; tries++) {
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
 * Runs a program to its end; what it prints goes to the end of `logFile`.
 *
 * @throws Error that names the log file, where it does not end well
 */
export async function run(
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
  const endWithUs = () => child.kill();
  process.once('exit', endWithUs);
  const [code] = (await once(child, 'exit')) as [number | null];
  process.off('exit', endWithUs);
  if (code !== 0) throw new Error(`${program} ${args[0] ?? ''} failed; see ${options.logFile}`);
}

/** What a program prints, or undefined where there is no such program or it fails. */
export function output(program: string, ...args: string[]): string | undefined {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? `${stdout}${stderr}` : undefined;
}

/**
 * Asks every tenth of a second until it is so.
 *
 * @throws Error when the deadline passes, or at once when the process that should bring it about has ended
 */
export async function waitFor(
  what: string,
  isSo: () => Promise<boolean>,
  { deadlineMs = 60_000, process: awaited }: { deadlineMs?: number; process?: Running } = {},
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await isSo())) {
    if (awaited?.hasEnded()) {
      const words = lastWords(readFileSync(awaited.logFile, 'utf8'));
      throw new Error(
        `waiting for ${what}: ${awaited.name} exited${words && `: ${words}`}; see ${awaited.logFile}`,
      );
    }
    if (performance.now() > deadline)
      throw new Error(`waiting for ${what}: timed out after ${deadlineMs / 1000} s`);
    await delay(100);
  }
}
