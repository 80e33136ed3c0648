import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A preload module of a service (`node --import`). On SIGUSR2 it shifts the clock by the milliseconds in the file of the
 * process in CLOCK_DIR. Timers and `performance` are unaffected, as when an administrator sets a clock.
 */
const Real = globalThis.Date;
let ahead = 0;
process.on('SIGUSR2', () => {
  ahead = Number(readFileSync(join(process.env['CLOCK_DIR'] ?? '', String(process.pid)), 'utf8'));
});

globalThis.Date = class extends Real {
  constructor(...given: [] | [string | number | Date]) {
    if (given.length === 0) super(Real.now() + ahead);
    else super(...given);
  }

  static override now = () => Real.now() + ahead;
} as DateConstructor;
