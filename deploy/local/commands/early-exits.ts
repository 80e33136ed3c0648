import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { App } from '../configuration/template.ts';
import { findExitStatus, findExitReason } from '../machine/exit-reason.ts';
import { root, readTextOrEmpty } from '../machine/paths.ts';

const daprLogs = join(root, '.dapr', 'logs');

/**
 * Watches the new logs of `dapr run`, because it continues after the exit of a service or sidecar and reports that only there.
 * Systems at other ports write to the same folder.
 *
 * @returns a function that throws an Error with the app and the reason, as soon as one has exited
 */
export function watchForExits(apps: readonly App[]): () => void {
  const oldLogs = new Set(listLogs());
  return () => {
    // Each log is read once per call, because the start calls this ten times per second.
    const newLogs = listLogs().flatMap((file) =>
      oldLogs.has(file) ? [] : [{ file, text: readTextOrEmpty(join(daprLogs, file)) }],
    );
    for (const { appID, daprHTTPPort } of apps) {
      const sidecar = newLogs.find(
        ({ file, text }) =>
          file.startsWith(`${appID}_daprd_`) &&
          // The first line contains daprd's port.
          text.slice(0, 500).includes(`HTTP Port: ${daprHTTPPort}.`),
      );
      if (!sidecar) continue;
      // `dapr run` creates this log after that of the sidecar. The names end with the time.
      const service = newLogs.find(
        ({ file }) => file >= sidecar.file.replace('_daprd_', '_app_') && isServiceLog(appID, file),
      );
      if (service) assertRunning(appID, service);
      assertRunning(`${appID}'s sidecar`, sidecar);
    }
  };
}

const isServiceLog = (appID: string, file: string) => file.startsWith(`${appID}_app_`);

function assertRunning(name: string, { file, text }: { file: string; text: string }): void {
  const status = findExitStatus(text);
  if (status === undefined) return;
  throw new Error(
    `${name} exited during startup (${status}): ${findExitReason(text) || 'no output'}\n` +
      `Log: ${relative(root, join(daprLogs, file))}`,
  );
}

/** Sorted by name, so that the logs of an app are in chronological order. */
function listLogs(): string[] {
  try {
    return readdirSync(daprLogs).toSorted();
  } catch {
    return [];
  }
}
