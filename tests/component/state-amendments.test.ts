import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConflictError } from '../../services/shared/dapr/sidecar-call.ts';
import type { Sidecar } from '../../services/shared/dapr/sidecar.ts';
import type { StateOperation } from '../../services/shared/dapr/state-store.ts';
import { startFakeSidecar, type FakeSidecar } from '../support/fake-sidecar.ts';
import { createSidecarClient } from '../support/service-under-test.ts';

let fake: FakeSidecar;
let replicas: readonly [Sidecar, Sidecar];
beforeEach(async () => {
  fake = await startFakeSidecar();
  replicas = [createSidecarClient(fake.port), createSidecarClient(fake.port)];
});
afterEach(async () => {
  await Promise.all(replicas.map((sidecar) => sidecar.close()));
  await fake.close();
});

const create = (key: string): StateOperation => ({ op: 'put', key, value: key });
const add = (name: string, key = 'shared'): StateOperation => ({
  op: 'amend',
  key,
  change: (names) => [...((names ?? []) as string[]), name],
});
const stored = (key = 'shared') => fake.documents.get(key)?.value;

describe('amendments of a shared document', () => {
  it('When one accompanies a write, then one transaction saves both', async () => {
    const writes: string[][] = [];
    fake.onStateCall(({ op, keys }) => void (op === 'write' && writes.push(keys)));
    await replicas[0].state.write(create('a'), add('a'));
    expect([writes, stored()]).toEqual([[['a', 'shared']], ['a']]);
  });

  it('When many writes wait at the same time, then few transactions save all amendments', async () => {
    const writes: string[][] = [];
    fake.onStateCall(({ op, keys }) => void (op === 'write' && writes.push(keys)));
    const names = Array.from({ length: 20 }, (_, number) => `n${number}`);
    await Promise.all(names.map((name) => replicas[0].state.write(create(name), add(name))));
    expect(stored()).toEqual(names);
    expect(writes.length).toBeLessThanOrEqual(3);
  });

  it('When one of these writes loses a race, then the others are saved, and its amendment is not', async () => {
    await replicas[0].state.write(create('taken'));
    const results = await Promise.allSettled(
      ['a', 'taken', 'b'].map((name) => replicas[0].state.write(create(name), add(name))),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: expect.any(ConflictError) as unknown });
    expect(stored()).toEqual(['a', 'b']);
  });

  it('When one refuses, then its write fails with that error, and the others are saved', async () => {
    const full = new Error('the list is full');
    const refuse: StateOperation = {
      op: 'amend',
      key: 'shared',
      change: () => {
        throw full;
      },
    };
    const { state } = replicas[0];
    const results = await Promise.allSettled([
      state.write(create('a'), add('a')),
      state.write(create('b'), refuse),
      state.write(create('c'), add('c')),
    ]);
    expect(results[1]).toEqual({ status: 'rejected', reason: full });
    expect([stored(), stored('b')]).toEqual([['a', 'c'], undefined]);
  });

  it('When replicas amend at once, then no amendment is lost', async () => {
    const names = Array.from({ length: 40 }, (_, number) => `n${number}`);
    await Promise.all(
      names.map((name, position) => replicas[position % 2 ? 0 : 1].state.write(create(name), add(name))),
    );
    expect((stored() as string[]).toSorted()).toEqual(names.toSorted());
  });

  it('When the document changes all the time, then the write ends with a conflict', async () => {
    await replicas[0].state.write(add('first'));
    fake.onStateCall(({ op }) => {
      if (op === 'write') fake.documents.set('shared', { value: [], etag: `other-${Math.random()}` });
    });
    await expect(replicas[0].state.write(create('a'), add('a'))).rejects.toThrow(ConflictError);
    expect(stored('a')).toBeUndefined();
  });

  it('When a write puts the document that others amend, then it wins or loses, and no amendment is lost', async () => {
    const { state } = replicas[0];
    await state.write(add('first'));
    const before = await state.get<string[]>('shared');
    await Promise.all([
      state.write({ op: 'put', key: 'shared', value: ['put'], etag: before?.etag }),
      state.write(create('a'), add('a')),
      state.write(create('b'), add('b')),
    ]);
    expect(stored()).toEqual(['put', 'a', 'b']);
  });
});
