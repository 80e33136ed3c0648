import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRecallingStore } from '../../services/shared/dapr/recall.ts';
import { ConflictError } from '../../services/shared/dapr/sidecar-call.ts';
import type { Sidecar } from '../../services/shared/dapr/sidecar.ts';
import { startFakeSidecar, type FakeSidecar } from '../support/fake-sidecar.ts';
import { createSidecarClient } from '../support/service-under-test.ts';

let fake: FakeSidecar;
let sidecar: Sidecar;

beforeEach(async () => {
  fake = await startFakeSidecar();
  sidecar = createSidecarClient(fake.port);
});
afterEach(async () => {
  await sidecar.close();
  await fake.close();
});

const put = (key: string, value: number, etag?: string) => ({ op: 'put', key, value, etag }) as const;

describe('a recalling store', () => {
  it('When a document was read, then its version is recalled, and a write on it succeeds', async () => {
    const state = createRecallingStore(sidecar.state);
    await state.write(put('a', 1));
    const read = await state.get('a');
    expect(state.recall('a')).toEqual(read);
    await state.write(put('a', 2, state.recall('a')?.etag));
    expect(fake.documents.get('a')?.value).toBe(2);
  });

  it('When this process has written a document, then it is not recalled, because its ETag is unknown', async () => {
    const state = createRecallingStore(sidecar.state);
    await state.write(put('a', 1));
    expect(state.recall('a')).toBeUndefined();
    const [entry] = (await state.getMany(['a'])).values();
    await state.write(put('a', 2, entry?.etag));
    expect(state.recall('a')).toBeUndefined();
  });

  it('When another replica has written, then the write is refused, and the document is not recalled for a while', async () => {
    const state = createRecallingStore(sidecar.state);
    await state.write(put('a', 1));
    const entry = await state.get('a');
    await sidecar.state.write(put('a', 2, entry?.etag));
    await expect(state.write(put('a', 3, state.recall('a')?.etag))).rejects.toThrow(ConflictError);
    await state.get('a');
    expect(state.recall('a')).toBeUndefined();
    expect(fake.documents.get('a')?.value).toBe(2);
  });

  it('When a write fails for another reason, then the document is not recalled until it is read', async () => {
    const state = createRecallingStore(sidecar.state);
    await state.write(put('a', 1));
    await state.get('a');
    fake.fail('state');
    await expect(state.write(put('a', 2, state.recall('a')?.etag))).rejects.toThrow('ERR_FAKE');
    expect(state.recall('a')).toBeUndefined();
    const read = await state.get('a');
    expect(state.recall('a')).toEqual(read);
  });
});
