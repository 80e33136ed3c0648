import { describe, expect, it } from 'vitest';
import { ABOUT } from '../../services/gateway/api.ts';
import { SERVICES } from '../../services/services.ts';
import { openApi } from '../../services/shared/api-docs/openapi.ts';

const OPERATIONS = SERVICES.flatMap(({ api }) => Object.entries(api));
const VERBS =
  /^(Approve|Cancel|Confirm|Create|Delete|Erase|Exchange|Get|List|Log|Place|Rebuild|Redrive|Refund|Register|Reject|Request|Restock|Set|Stop|Stream|Update)\b/;
const MOST_WORDS = 25;

const sentencesOf = (text: string) =>
  text.split(/(?<=[.!?])\s+|\n\n|\n- /).map((one) => one.replaceAll(/\s+/g, ' ').trim());
const isLong = (sentence: string) => sentence.split(' ').length > MOST_WORDS;

describe('the texts of the API', () => {
  it.each(OPERATIONS)('begin with a verb and end without a period in the summary of %s', (_, { summary }) => {
    expect(summary).toMatch(VERBS);
    expect(summary).not.toMatch(/\.$/);
  });

  it('are whole sentences when they describe a problem', () => {
    const texts = OPERATIONS.flatMap(([, { problems = {} }]) =>
      Object.values(problems).map((problem) => problem.description),
    );
    expect(texts.filter((text) => !/^[A-Z`].*\.$/.test(text))).toEqual([]);
  });

  it('have short sentences', () => {
    const texts = OPERATIONS.flatMap(([, { summary, description = '', problems = {} }]) => [
      summary,
      description,
      ...Object.values(problems).map((problem) => problem.description),
    ]);
    expect([ABOUT, ...texts].flatMap(sentencesOf).filter(isLong)).toEqual([]);
  });

  it('contain the description of an operation beside its summary', () => {
    const paths = openApi(SERVICES, 'public')['paths'] as Record<string, Record<string, object>>;
    expect(paths['/api/users/{id}']?.['put']).toMatchObject({
      summary: 'Update a user',
      description: expect.stringContaining('`current_password`') as string,
    });
  });
});
