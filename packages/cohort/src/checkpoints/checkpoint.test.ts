import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackgroundFiles } from '@cohort-ml/runs';
import { Generator, optim } from '@cohort-ml/torch';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/testing.ts';
import { Tally } from '../evaluate/tally.ts';
import { createNetwork, type Network } from '../models/index.ts';
import { isDamage, loadModules, readCheckpointInfo } from './checkpoint.ts';
import { sumOfInfo, type CheckpointInfo } from './checkpointInfo.ts';
import { assertWeightsFinite, takeSnapshot, type TrainedParts } from './snapshot.ts';

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
beforeEach(async () => {
  rmSync(folder.path, { recursive: true });
  mkdirSync(folder.path);
  const optimizer = new optim.SGD(saved.parameters(), { learningRate: 0.1 });
  const parts: TrainedParts = { modules: [['network-a', saved]], optimizers: [['optimizer', optimizer]] };
  const files = new BackgroundFiles();
  await files.write(folder.path, takeSnapshot(parts), { name: 'checkpoint.json', value: info });
  await files.close();
});

const info: CheckpointInfo = {
  version: 2,
  epoch: 2,
  step: 6,
  classes: ['x', 'y', 'z'],
  channels: 1,
  height: 28,
  width: 28,
  normalisation: { mean: [0.5], std: [0.25] },
  validationAccuracy: null,
  training: {
    batch: 0,
    means: {},
    images: 96,
    trainingMs: 1,
    elapsedMs: 2,
    diagnosis: null,
    scores: { validation: null, test: null },
    guards: {
      skippedInARow: 0,
      skipped: 0,
      methodSkippedInARow: 0,
      methodSkipped: 0,
      startLoss: null,
      smoothedLoss: null,
      bestLoss: null,
      stepsAbove: 0,
    },
    earlyStopping: null,
    isStoppedEarly: false,
    method: null,
    metricsBytes: 0,
    optimizerSteps: { optimizer: 0 },
  },
  provenance: {
    code: { digest: '', version: '', gitCommit: null, isModified: null, libtorch: '' },
    data: { name: '', digest: '', images: { train: 1, validation: 0, test: 1 } },
    recipe: {},
    machine: { threads: 1, cpu: '', cpuCapability: '', device: 'cpu' },
  },
};

function changeInfo(change: (info: Record<string, unknown>) => void): void {
  const path = join(folder.path, 'checkpoint.json');
  const info = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  change(info);
  const text = JSON.stringify(info);
  writeFileSync(path, text);
  writeFileSync(join(folder.path, 'checkpoint.json.sha256'), sumOfInfo(text));
}

describe('a checkpoint', () => {
  it('gives back the weights that it was written with', () => {
    const other = network(2);
    loadModules(folder.path, readCheckpointInfo(folder.path), [['network-a', other]]);
    expect(other.classifier.weight.toNumbers()).toEqual(saved.classifier.weight.toNumbers());
  });

  it('gives back measures in the order that they are taken in, since summaries are compared as text', () => {
    const [score] = new Tally(1, 0).scores(1);
    const test = { networks: [score], ensemble: score, images: 1 };
    changeInfo((given) => {
      given.training = { ...info.training, scores: { validation: null, test } };
    });
    const found = readCheckpointInfo(folder.path) as CheckpointInfo;
    expect(JSON.stringify(found.training.scores.test?.networks)).toBe(JSON.stringify(test.networks));
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
    }).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(
          /has no network-b\.safetensors\. It belongs to another recipe/,
        ) as string,
        remedy: 'It belongs to another recipe, or a file was deleted; use the recipe.yaml of the run.',
      }) as Error,
    );
  });

  it.each([
    ['a wrong type', { normalisation: 3 }, 'normalisation'],
    ['a size that cannot be', { height: -1, classes: [] }, 'classes, height'],
    ['a version that never was', { version: 0 }, 'version'],
  ])('with %s in checkpoint.json is refused by name', (_, changes, names) => {
    changeInfo((info) => Object.assign(info, changes));
    expect(() => readCheckpointInfo(folder.path)).toThrow(
      `checkpoint.json is not a checkpoint of version 1 or 2: wrong or missing: ${names}. Use`,
    );
  });

  it('with a checkpoint.json that was cut off is refused', () => {
    writeFileSync(join(folder.path, 'checkpoint.json'), '{"version": 1,');
    rmSync(join(folder.path, 'checkpoint.json.sha256'));
    expect(() => readCheckpointInfo(folder.path)).toThrow(/cannot be read: .*JSON.*train again/);
    copyFileSync('/dev/null', join(folder.path, 'checkpoint.json'));
    expect(() => readCheckpointInfo(folder.path)).toThrow(/cannot be read/);
  });
});

describe('a checkpoint of a later version', () => {
  it('is refused by name, and is no damage that another checkpoint could stand in for', () => {
    const text = JSON.stringify({ ...info, version: 3, sha256: {} });
    writeFileSync(join(folder.path, 'checkpoint.json'), text);
    writeFileSync(join(folder.path, 'checkpoint.json.sha256'), sumOfInfo(text));
    let refusal: unknown;
    try {
      readCheckpointInfo(folder.path);
    } catch (error) {
      refusal = error;
    }
    expect(String(refusal)).toContain('is of version 3, and this Cohort knows 1 and 2. Use the version');
    expect(isDamage(refusal)).toBe(false);
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
