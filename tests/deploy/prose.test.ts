import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Runs `npm run lint:prose` on a text instead of the files. */
function lint(text: string) {
  const options = { input: text, encoding: 'utf8', timeout: 60_000 } as const;
  const { status, stderr } = spawnSync('node_modules/.bin/markdownlint-cli2', ['--no-globs', '-'], options);
  return { status, problems: stderr.split('\n').filter(Boolean) };
}

const words = (count: number) => `The ${'very '.repeat(count - 3)}long sentence.`;

describe('the prose linter', () => {
  it('reports each kind of bad sentence on its line', () => {
    const bad = [
      [words(26), '26 words, at most 25 in a sentence'],
      ['What waits for stock is decided together.', 'Begin with the subject'],
      ['The service starts anew.', 'Not used here: "anew"'],
      ['The order goes on.', 'Not used here: "goes on"'],
      ['An address may ask 100 times a minute.', 'Not used here: "100 times a minute"'],
      ['There is one topic an event.', 'Not used here: "one topic an event"'],
      ['**Bold** text and `code` were mended.', 'Not used here: "mended"'],
      [`- An item. ${words(30)}`, '30 words'],
      [`| cell |\n| --- |\n| ${'word '.repeat(11)}|`, '11 words, at most 10 in a cell'],
    ] as const;
    for (const [text, problem] of bad) {
      const { status, problems } = lint(`# A heading\n\n${text}\n`);
      expect({ text, status, problems }).toEqual({
        text,
        status: 1,
        problems: [expect.stringContaining(problem)],
      });
    }
  });

  it('accepts plain sentences, and does not read code, addresses and questions', () => {
    const good = [
      words(25),
      'Where is a declined card handled?',
      `Run \`${'a long command '.repeat(20)}\` first.`,
      `The [link](https://example.com/anew) leads elsewhere. ${words(25)}`,
      '```sh\nsay anew whoever\n```',
    ];
    expect(lint(`# What it needs\n\n${good.join('\n\n')}\n`)).toEqual({ status: 0, problems: [] });
  });
});

describe('the links of the documents', () => {
  const { stdout } = spawnSync('git', ['ls-files', '-z', '*.md'], { encoding: 'utf8' });
  const files = stdout.split('\0').filter(Boolean);

  const linksIn = (file: string) =>
    [...readFileSync(file, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target));

  /** The anchors that GitHub derives from headings. */
  const anchorsIn = (file: string) =>
    [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );

  it('lead to files and headings that exist', () => {
    expect(files.length).toBeGreaterThan(20);
    const broken = files.flatMap((file) =>
      linksIn(file).filter((link) => {
        const [path = '', anchor] = link.split('#');
        const target = path ? join(dirname(file), path) : file;
        return !existsSync(target) || (anchor !== undefined && !anchorsIn(target).includes(anchor));
      }),
    );
    expect(broken).toEqual([]);
  });
});
