import { readFileSync } from 'node:fs';

/**
 * Loaded into a service before its own code (`node --import`): on SIGUSR2 its clock jumps to where CLOCK_FILE says,
 * milliseconds ahead of the true time. Timers go on as they are, as with a clock that is set.
 */
const Real = globalThis.Date;
let ahead = 0;
process.on('SIGUSR2', () => {
  ahead = Number(readFileSync(process.env['CLOCK_FILE'] ?? '', 'utf8'));
});

globalThis.Date = class extends Real {
  constructor(...given: [] | [string | number | Date]) {
    if (given.length === 0) super(Real.now() + ahead);
    else super(...given);
  }

  static override now = () => Real.now() + ahead;
} as DateConstructor;
