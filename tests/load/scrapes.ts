import { localScrapeTargets } from '../../deploy/local/system/scrape-targets.ts';

const ROUNDS = 20;

/**
 * The longest of twenty scrapes of each service, in milliseconds.
 *
 * @param portOffset the shift of the system's ports
 */
export async function slowestScrapeMs(portOffset: number): Promise<number> {
  let slowest = 0;
  for (let round = 0; round < ROUNDS; round++)
    for (const { metrics } of localScrapeTargets(portOffset)) {
      const startedAt = performance.now();
      const response = await fetch(`http://${metrics}/metrics`, { signal: AbortSignal.timeout(10_000) });
      await response.text();
      slowest = Math.max(slowest, performance.now() - startedAt);
    }
  return slowest;
}
