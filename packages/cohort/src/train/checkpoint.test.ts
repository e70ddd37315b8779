import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Generator, optim } from '@cohort/torch';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/testing.ts';
import { createNetwork, type Network } from '../models/index.ts';
import { assertWeightsFinite, loadModules, readCheckpointInfo, writeCheckpoint } from './checkpoint.ts';

const network = (seed: number): Network =>
  createNetwork('resnet8', { classes: 3, channels: 1, generator: new Generator(seed) });
let folder: { path: string; remove: () => void };
let saved: Network;

beforeAll(() => {
  folder = temporaryFolder();
  saved = network(1);
});
afterAll(() => {
  folder.remove();
});
beforeEach(() => {
  const optimizer = new optim.SGD(saved.parameters(), { learningRate: 0.1 });
  writeCheckpoint(folder.path, [['network-a', saved]], [['optimizer', optimizer]], {
    version: 1,
    epoch: 2,
    step: 6,
    classes: ['x', 'y', 'z'],
    channels: 1,
    height: 28,
    width: 28,
    normalisation: { mean: [0.5], std: [0.25] },
  });
});

function changeInfo(change: (info: Record<string, unknown>) => void): void {
  const path = join(folder.path, 'checkpoint.json');
  const info = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  change(info);
  writeFileSync(path, JSON.stringify(info));
}

describe('a checkpoint', () => {
  it('gives back the weights that it was written with', () => {
    const other = network(2);
    loadModules(folder.path, readCheckpointInfo(folder.path), [['network-a', other]]);
    expect(other.classifier.weight.toNumbers()).toEqual(saved.classifier.weight.toNumbers());
  });

  it('is refused when a single bit of a weight has changed', () => {
    const path = join(folder.path, 'network-a.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect(() => {
      loadModules(folder.path, readCheckpointInfo(folder.path), [['network-a', network(2)]]);
    }).toThrow(/network-a\.safetensors is not the file that was written: its SHA-256 differs/);
  });

  it('is refused when it belongs to another recipe, with what does not fit', () => {
    const info = readCheckpointInfo(folder.path);
    const wider = createNetwork('resnet8', { classes: 4, channels: 1, generator: new Generator(1) });
    expect(() => {
      loadModules(folder.path, info, [['network-a', wider]]);
    }).toThrow(
      /does not fit the recipe of its run: wrong shape \(2\): classifier\.weight \[3, 64\] instead of/,
    );
    expect(() => {
      loadModules(folder.path, info, [['network-b', wider]]);
    }).toThrow(/has no network-b\.safetensors/);
  });

  it.each([
    ['a wrong type', { normalisation: 3 }, 'normalisation'],
    ['a size that cannot be', { height: -1, classes: [] }, 'classes, height'],
    ['another version', { version: 9 }, 'version'],
  ])('with %s in checkpoint.json is refused by name', (_, changes, names) => {
    changeInfo((info) => Object.assign(info, changes));
    expect(() => readCheckpointInfo(folder.path)).toThrow(
      `checkpoint.json is not a checkpoint of version 1: wrong or missing: ${names}. Use`,
    );
  });

  it('with a checkpoint.json that was cut off is refused', () => {
    writeFileSync(join(folder.path, 'checkpoint.json'), '{"version": 1,');
    expect(() => readCheckpointInfo(folder.path)).toThrow(/cannot be read: .*JSON.*train again/);
    copyFileSync('/dev/null', join(folder.path, 'checkpoint.json'));
    expect(() => readCheckpointInfo(folder.path)).toThrow(/cannot be read/);
  });
});

describe('assertWeightsFinite', () => {
  it('names the tensor, running statistics included', () => {
    const broken = network(3);
    const position = { epoch: 4, step: 12 };
    assertWeightsFinite([['network-a', broken]], position);
    broken.stateDict().get('bn1.running_var')?.fill_(Infinity);
    expect(() => {
      assertWeightsFinite([['network-a', broken]], position);
    }).toThrow('The weights bn1.running_var of network-a were not finite after epoch 4, step 12. Lower');
  });
});
