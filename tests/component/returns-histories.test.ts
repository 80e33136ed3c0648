import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RETURN_WORKFLOW, returnWorkflow } from '../../services/returns/workflow/return-workflow.ts';
import { replay, type RecordedHistory } from '../support/replayed-workflow.ts';

/**
 * Histories of real returns, one file for each version of the workflow. A return that began before a deployment continues with
 * the code after it, so the code must follow every prefix of its history.
 */
const FOLDER = 'tests/component/histories';
const WORKFLOWS = { [RETURN_WORKFLOW]: returnWorkflow };

describe.each(Object.keys(WORKFLOWS))('the workflow %s', (version) => {
  const file = readFileSync(join(FOLDER, `${version}.json`), 'utf8');
  const histories = Object.entries(JSON.parse(file) as Record<string, RecordedHistory>);
  const workflow = WORKFLOWS[version as keyof typeof WORKFLOWS];
  if (!workflow) throw new Error(`${version} is not registered`);

  it.each(histories)(
    'When the history of a %s return is replayed, then the code follows it',
    async (_, history) => {
      for (let length = 1; length <= history.length; length++)
        expect(await replay(version, workflow, history.slice(0, length))).toBeUndefined();
    },
  );

  it.each(histories)(
    'When the code of a %s return had another step, then the replay fails',
    async (_, history) => {
      async function* changed(...[context, input]: Parameters<typeof workflow>) {
        yield context.callActivity('another step', input);
        return yield* workflow(context, input);
      }
      const problems = await Promise.all(
        history.map((__, position) => replay(version, changed, history.slice(0, position + 1))),
      );
      expect(problems.filter(Boolean)).not.toEqual([]);
    },
  );
});

it('When a version has histories, then it is still registered', () => {
  const versions = readdirSync(FOLDER).map((name) => name.replace(/\.json$/, ''));
  expect(versions.toSorted()).toEqual(Object.keys(WORKFLOWS).toSorted());
});
