import { resolve } from 'node:path';
import { parseArguments } from '../../deploy/local/commands/arguments.ts';
import { SERVICES } from '../../services/services.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { runTests } from './run-vitest.ts';

/**
 * `npm run test:contract -- --service payments --command "python -m payments" --cwd DIR`: checks an implementation of a service in any
 * language. Without options it checks the services of this repository.
 */
const { service, command, cwd } = await orExit(process, () => {
  const given = parseArguments({
    service: { type: 'string' },
    command: { type: 'string' },
    cwd: { type: 'string' },
  });
  const names = SERVICES.map(({ name }) => name).filter((name) => name !== 'gateway');
  if (given.service !== undefined && !names.includes(given.service))
    throw new Error(`--service must be one of ${names.join(', ')}.`);
  if (given.command !== undefined && given.service === undefined)
    throw new Error('--command needs --service, the service that the command replaces.');
  return given;
});
if (service) process.env['CONTRACT_SERVICE'] = service;
if (command) process.env['CONTRACT_COMMAND'] = command;
// The folder of the call, because npm runs commands in the folder of package.json.
if (cwd) process.env['CONTRACT_CWD'] = resolve(process.env['INIT_CWD'] ?? '.', cwd);
// The rules of other services would count as skipped.
runTests(
  ['contract'],
  service
    ? ['tests/contract/every-service', 'tests/contract/slow-rules', `tests/contract/${service}.test`]
    : [],
);
