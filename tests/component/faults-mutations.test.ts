import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MUTATIONS } from '../faults/mutations.ts';

it('When the services have mutation seams, then each exists once, and one mutation uses it', () => {
  const files = readdirSync('services', { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const seams = files.flatMap((file) =>
    [...readFileSync(join('services', file), 'utf8').matchAll(/\/\/ guard: (.+)$/gm)].map(([, seam]) => seam),
  );
  expect(new Set(seams)).toEqual(new Set(MUTATIONS.flatMap(({ edits }) => edits.map(({ seam }) => seam))));
  expect(new Set(seams).size).toBe(seams.length);
});
