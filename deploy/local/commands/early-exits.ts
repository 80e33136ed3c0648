import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { endOf, lastWords } from '../machine/exit-reason.ts';
import { root, textOf } from '../machine/paths.ts';
import type { App } from '../configuration/template.ts';

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
    // Each is read once: all of them are looked at ten times per second while services start.
    const begun = logs().flatMap((file) =>
      old.has(file) ? [] : [{ file, text: textOf(join(daprLogs, file)) }],
    );
    for (const { appID, daprHTTPPort } of apps) {
      const sidecar = begun.find(
        ({ file, text }) =>
          file.startsWith(`${appID}_daprd_`) &&
          // daprd's port is in the first line.
          text.slice(0, 500).includes(`HTTP Port: ${daprHTTPPort}.`),
      );
      if (!sidecar) continue;
      // Its log is begun after that of its sidecar; the names end with the time.
      const service = begun.find(
        ({ file }) => file >= sidecar.file.replace('_daprd_', '_app_') && isOf(appID, file),
      );
      if (service) demandAlive(appID, service);
      demandAlive(`${appID}'s sidecar`, sidecar);
    }
  };
}

const isOf = (appID: string, file: string) => file.startsWith(`${appID}_app_`);

function demandAlive(who: string, { file, text }: { file: string; text: string }): void {
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
