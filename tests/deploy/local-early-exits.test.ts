import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { watchForExits } from '../../deploy/local/commands/early-exits.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';

const LOGS = '.dapr/logs';

/** The first lines of a `dapr run` log. */
function log(name: string, text: string): void {
  mkdirSync(LOGS, { recursive: true });
  writeFileSync(join(LOGS, name), text);
  onTestFinished(() => rmSync(join(LOGS, name), { force: true }));
}

it('When a service or a sidecar of this start exits, then the message has its name and its last error', () => {
  const [app] = readTemplate().apps;
  if (!app) throw new Error('there are no services');
  const appID = 'made-up-for-a-test';
  const [mine, other] = [4_711, 4_712];
  const head = (port: number) => `Starting Dapr with id ${appID}. HTTP Port: ${port}. gRPC Port: 1\n`;
  const failed = (what: string) => `❌  The ${what} process exited with error code: exit status 1\n`;
  log(`${appID}_daprd_20260105093000.log`, head(mine) + failed('daprd'));
  const demandAllAlive = watchForExits([{ ...app, appID, daprHTTPPort: mine }]);

  // Logs of an earlier start, of a system on other ports, and of a running process.
  log(`${appID}_daprd_20260105094000.log`, head(other) + failed('daprd'));
  log(`${appID}_daprd_20260105095000.log`, head(mine));
  log(`${appID}_app_20260105095000.log`, `== APP - ${appID} == {"msg":"listening"}\n`);
  expect(demandAllAlive).not.toThrow();

  log(`${appID}_app_20260105095000.log`, `== APP - ${appID} == Error: no room: here\n${failed('App')}`);
  expect(demandAllAlive).toThrow(
    `${appID} exited during startup (exit status 1): Error: no room: here\nLog: .dapr/logs/${appID}_app_20260105095000.log`,
  );

  log(`${appID}_app_20260105095000.log`, '');
  log(
    `${appID}_daprd_20260105095000.log`,
    `${head(mine)}time="x" level=fatal msg="no store"\n${failed('daprd')}`,
  );
  expect(demandAllAlive).toThrow(`${appID}'s sidecar exited during startup (exit status 1): no store`);
});
