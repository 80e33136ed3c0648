import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const COMMITTED = 'services/gateway/grpc/generated';

it('The generated gRPC types are those of order_service.proto; `npm run generate` writes them', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const directory = mkdtempSync(join(tmpdir(), 'grpc-types-'));
  try {
    const [program, ...options] = scripts['generate:grpc']!.replace(COMMITTED, directory).split(' ');
    execFileSync(process.execPath, [`node_modules/.bin/${program}`, ...options]);
    expect(filesOf(COMMITTED)).toEqual(filesOf(directory));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const filesOf = (directory: string) =>
  Object.fromEntries(
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((file) => [file.slice(directory.length), readFileSync(file, 'utf8')]),
  );
