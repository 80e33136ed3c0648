import { describe, expect, it } from 'vitest';
import { findExitStatus, findExitReason } from '../../deploy/local/machine/exit-reason.ts';

/** Shortened logs of `dapr run -f`. */
const APP = (...lines: string[]) =>
  lines.map((line) => `\u001b[34m== APP - users == ${line}\u001b[0m`).join('\n');
const FAILED = '\n❌  The App process exited with error code: exit status 1\n';
const INFO = '{"level":"info","service":"users","msg":"listening"}';

describe('the last words of a program', () => {
  it.each([
    [
      'a wrong variable',
      APP('The environment variables are wrong:', '  LOG_LEVEL: is wrong. For example: LOG_LEVEL=info') +
        FAILED,
      'The environment variables are wrong:\n  LOG_LEVEL: is wrong. For example: LOG_LEVEL=info',
      'exit status 1',
    ],
    [
      'an uncaught error',
      APP(
        INFO,
        'node:events:486',
        '      throw er; // Unhandled',
        'Error: listen EADDRINUSE: address already in use 127.0.0.1:8081',
        '    at Server.setupListenHandle (node:net:1940:16)',
        'Node.js v24.21.0',
      ) + FAILED,
      'Error: listen EADDRINUSE: address already in use 127.0.0.1:8081',
      'exit status 1',
    ],
    [
      'a fatal line of daprd',
      [
        'Starting Dapr with id users. HTTP Port: 3581. gRPC Port: 3681',
        'time="2026-01-05T09:30:00Z" level=info msg="Enabled features" app_id=users',
        'time="2026-01-05T09:30:01Z" level=fatal msg="Fatal error from runtime: failed to load \\"statestore\\"" app_id=users',
        '❌  The daprd process exited with error code: exit status 1',
      ].join('\n'),
      'Fatal error from runtime: failed to load "statestore"',
      'exit status 1',
    ],
    [
      'a fatal line of daprd in JSON',
      [
        'Starting Dapr with id users. HTTP Port: 3581. gRPC Port: 3681',
        '{"app_id":"users","level":"info","msg":"Enabled features","scope":"dapr.runtime"}',
        '{"app_id":"users","level":"fatal","msg":"Fatal error from runtime: failed to load \\"statestore\\""}',
        '❌  The daprd process exited with error code: exit status 1',
      ].join('\n'),
      'Fatal error from runtime: failed to load "statestore"',
      'exit status 1',
    ],
    ['nothing', `ℹ️  Updating metadata for appPID: 1${FAILED}`, '', 'exit status 1'],
    ['nothing, and ended well', '✅  Exited App successfully\n', '', 'exit status 0'],
    ['only lines of its own, and runs', APP(INFO), INFO, undefined],
  ])('When it is %s, then these are its last words', (_, log, words, end) => {
    expect(findExitReason(log)).toBe(words);
    expect(findExitStatus(log)).toBe(end);
  });
});
