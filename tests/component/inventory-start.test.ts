import { mkdtempSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createApp } from '../../services/inventory/app.ts';
import { readCatalogue } from '../../services/inventory/catalogue.ts';
import { startService } from '../support/service-under-test.ts';

const catalogue = ['mug-blue', 'pen'].map((product_id) => ({
  product_id,
  name: 'Product',
  unit_price: 1000,
  currency: 'EUR',
  on_hand: 10,
  low_stock_threshold: 1,
}));

describe('start', () => {
  it('When the catalogue cannot be saved, then the service is unready until it can', async () => {
    let failing = true;
    const service = await startService((deps) => {
      const { state } = deps.sidecar;
      const getMany: typeof state.getMany = (keys) =>
        failing ? Promise.reject(new Error('not there yet')) : state.getMany(keys);
      return createApp({ ...deps, catalogue, sidecar: { ...deps.sidecar, state: { ...state, getMany } } });
    });
    onTestFinished(() => service.stop());
    expect((await service.http.get('/readyz')).status).toBe(503);
    failing = false;
    await vi.waitFor(() => service.http.get('/readyz').expect(200), { timeout: 5_000 });
    const { body } = await service.http.get('/api/inventory');
    expect(body.items).toMatchObject([{ product_id: 'mug-blue' }, { product_id: 'pen' }]);
  });

  it('When no file is configured, then the catalogue of the shop is read', async () => {
    const products = await readCatalogue(undefined);
    expect(products.length).toBeGreaterThanOrEqual(12);
    expect(products.map(({ product_id }) => product_id)).toContain('mug-blue');
    expect(new Set(products.map(({ product_id }) => product_id)).size).toBe(products.length);
  });

  it('When a file is configured, then that file is read', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'catalogue-')), 'mine.json');
    const [first] = catalogue;
    await writeFile(file, JSON.stringify([{ ...first, low_stock_threshold: undefined }]));
    expect(await readCatalogue(file)).toEqual([{ ...first, low_stock_threshold: 5 }]);
  });

  it.each([
    ['does not exist', undefined, 'ENOENT'],
    ['is not JSON', '{', 'JSON'],
    ['has a negative stock', JSON.stringify([{ ...catalogue[0], on_hand: -1 }]), 'on_hand'],
  ])('When the file %s, then the error has its name', async (_, content, message) => {
    const file = join(mkdtempSync(join(tmpdir(), 'catalogue-')), 'mine.json');
    if (content !== undefined) await writeFile(file, content);
    await expect(readCatalogue(file)).rejects.toThrow(new RegExp(`mine.json: [^]*${message}`));
  });
});
