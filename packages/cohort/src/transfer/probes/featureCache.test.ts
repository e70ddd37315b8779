/** Cached features: found by everything that they depend on, and never trusted when damaged. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../data/testing.ts';
import { FeatureCache, type FeatureKey } from './featureCache.ts';

const key: FeatureKey = {
  ...{ weights: 'w', model: 'resnet8', data: 'd', stage: 'last', size: [32, 32] },
  normalisation: { mean: [0.5], std: [0.25] },
};
const table = { values: Float32Array.of(1, 2, 3, 4, 5, 6), count: 3, width: 2 };
const warnings: string[] = [];
const reporter = {
  warning: (text: string): void => {
    warnings.push(text);
  },
};
let folder: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => {
  folder.remove();
});
beforeEach(() => {
  warnings.length = 0;
});

describe('FeatureCache', () => {
  it('gives back what was written', () => {
    const cache = new FeatureCache(join(folder.path, 'plain'), reporter);
    expect(cache.read(key)).toBeNull();
    cache.write(key, table);
    expect(cache.read(key)).toEqual(table);
  });

  it.each([
    ['weights', { weights: 'other' }],
    ['images', { data: 'other' }],
    ['stage', { stage: 2 }],
    ['size', { size: [64, 64] as const }],
    ['normalisation', { normalisation: { mean: [0.4], std: [0.25] } }],
  ])('does not take features for those of other %s', (_, change) => {
    const cache = new FeatureCache(join(folder.path, 'keys'), reporter);
    cache.write(key, table);
    expect(cache.read({ ...key, ...change })).toBeNull();
  });

  it.each([
    [
      'one bit of a feature',
      (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1),
    ],
    ['the header', (bytes: Buffer) => bytes.fill(0xff, 0, 8)],
  ])('passes over a file with damage to %s', (_, damage) => {
    const cache = new FeatureCache(join(folder.path, 'damaged'), reporter);
    cache.write(key, table);
    const bytes = readFileSync(cache.path(key));
    damage(bytes);
    writeFileSync(cache.path(key), bytes);
    expect(cache.read(key)).toBeNull();
    cache.write(key, table);
    expect(cache.read(key)).toEqual(table);
  });

  it('passes over a file that was cut off', () => {
    const cache = new FeatureCache(join(folder.path, 'short'), reporter);
    cache.write(key, table);
    writeFileSync(cache.path(key), readFileSync(cache.path(key)).subarray(0, 20));
    expect(cache.read(key)).toBeNull();
  });

  it('warns once where it cannot be written, and goes on', () => {
    const blocked = join(folder.path, 'file');
    writeFileSync(blocked, '');
    const cache = new FeatureCache(join(blocked, 'features'), reporter);
    cache.write(key, table);
    cache.write(key, table);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('features are not cached');
  });
});
