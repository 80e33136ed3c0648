import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedFiles } from '../../deploy/generate/generated.ts';
import { root } from '../../deploy/local/machine/paths.ts';

const files = await generatedFiles(root);

describe('the generated files', () => {
  it.each([...files])('%s is as `npm run generate` writes it', (file, text) => {
    expect(readFileSync(join(root, file), 'utf8')).toBe(text);
  });

  it.each(['components/subscriptions', 'deploy/kubernetes/base/access'])('are all files of %s', (folder) => {
    const generated = [...files.keys()].filter((file) => dirname(file) === folder);
    expect(generated.toSorted()).toEqual(readdirSync(join(root, folder)).map((name) => `${folder}/${name}`));
  });
});
