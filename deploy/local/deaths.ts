import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { endOf, lastWords } from './last-words.ts';
import { root } from './paths.ts';
import type { App } from './template.ts';

const daprLogs = join(root, '.dapr', 'logs');

/**
 * Watches what `dapr run` is about to start, by the logs that it begins now: it goes on when a service or a sidecar has ended,
 * and notes that only there. Systems at other ports write to the same folder.
 *
 * @returns a function that throws an Error with the app and its last words, once one has ended
 */
export function watchForDeaths(apps: readonly App[]): () => void {
  const old = new Set(logs());
  return () => {
    const begun = logs().filter((file) => !old.has(file));
    for (const { appID, daprHTTPPort } of apps) {
      const sidecar = begun.find(
        (file) =>
          file.startsWith(`${appID}_daprd_`) &&
          // daprd's port is in the first line.
          textOf(file).slice(0, 500).includes(`HTTP Port: ${daprHTTPPort}.`),
      );
      if (!sidecar) continue;
      // Its log is begun after that of its sidecar; the names end with the time.
      const service = begun.find((file) => file >= sidecar.replace('_daprd_', '_app_') && isOf(appID, file));
      if (service) demandAlive(appID, service);
      demandAlive(`${appID}'s sidecar`, sidecar);
    }
  };
}

const isOf = (appID: string, file: string) => file.startsWith(`${appID}_app_`);

function demandAlive(who: string, file: string): void {
  const text = textOf(file);
  const end = endOf(text);
  if (end === undefined) return;
  throw new Error(
    `${who} exited during startup (${end}): ${lastWords(text) || 'no output'}\n` +
      `Log: ${relative(root, join(daprLogs, file))}`,
  );
}

/** By name, so that those of an app are in the order of their time. */
function logs(): string[] {
  try {
    return readdirSync(daprLogs).toSorted();
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(join(daprLogs, file), 'utf8');
  } catch {
    return '';
  }
}
