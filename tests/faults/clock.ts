import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Loaded into a service before its own code (`node --import`): on SIGUSR2 its clock jumps to where its file in CLOCK_DIR
 * says, so many milliseconds ahead of the true time, or behind it where there are fewer than none. Timers and `performance` go on as they
 * are, as with a clock that is set.
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
