/** Exported folders: complete, true to the run, replaced only when asked, and never half-written. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scope, Tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { classProbabilities } from '../evaluate/accuracy.ts';
import { loadRun } from '../inference/loadRun.ts';
import { BatchNormaliser } from '../data/index.ts';
import { pixels, relativeError, runOnnx } from '../test/exports.ts';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { trainRun } from '../train/run/run.ts';
import { ExportError } from './errors.ts';
import { exportRun } from './exportRun.ts';
import type { ExportManifest } from './manifest.ts';
import type { ExportOptions } from './options.ts';

let world: TinyWorld;
let run: string;
let out: string;
let reporter: RememberingReporter;

beforeAll(async () => {
  world = tinyWorld();
  const { signal } = new AbortController();
  run = (
    await trainRun(world.recipe(), { signal, reporter: new RememberingReporter(), command: 'cohort train' })
  ).runFolder;
});
afterAll(() => {
  world.remove();
});
beforeEach(() => {
  out = join(world.path, 'exported');
  rmSync(out, { recursive: true, force: true });
  reporter = new RememberingReporter();
});

const options = (changes: Partial<ExportOptions> = {}): ExportOptions => ({
  ...{ signal: new AbortController().signal, reporter, out, calibrationImages: 20 },
  ...changes,
});

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

const manifestIn = (folder: string): ExportManifest =>
  JSON.parse(readFileSync(join(folder, 'cohort.json'), 'utf8')) as ExportManifest;

/** Nothing of an export is left next to its folder. */
const leftovers = (): string[] => readdirSync(world.path).filter((name) => name.startsWith('.'));

const input = pixels([3, 1, 28, 28]);

/** Probabilities by the run's own networks and, last, of their ensemble. */
function probabilitiesOf(path: string): Float32Array[] {
  const loaded = loadRun(path, reporter);
  const normaliser = new BatchNormaliser(loaded.checkpoint.normalisation);
  try {
    return scope(() => {
      const images = normaliser.apply(Tensor.fromTypedArray(input, [3, 1, 28, 28]));
      return classProbabilities(loaded.networks, images, loaded.ensemble).map((each) =>
        Float32Array.from(each.toNumbers()),
      );
    });
  } finally {
    normaliser.dispose();
    loaded.dispose();
  }
}

function softmax(scores: Float32Array | undefined): Float32Array {
  return scope(() =>
    Float32Array.from(
      Tensor.fromTypedArray(scores ?? new Float32Array(30), [3, 10])
        .softmax(1)
        .toNumbers(),
    ),
  );
}

describe('a folder', () => {
  test('holds the model, labels, a card and a manifest with the digest of every file', async () => {
    const { folder, bytes, manifest } = await exportRun(run, options());

    expect(folder).toBe(out);
    expect(filesIn(out)).toEqual(['README.md', 'cohort.json', 'labels.json', 'onnx/model.onnx']);
    expect(manifestIn(out)).toEqual(manifest);
    expect(JSON.parse(readFileSync(join(out, 'labels.json'), 'utf8'))).toEqual(manifest.labels);
    const described = {
      ...manifest.files,
      ...Object.fromEntries(manifest.models.map((model) => [model.path, model])),
    };
    expect(Object.keys(described).sort()).toEqual(filesIn(out).filter((path) => path !== 'cohort.json'));
    for (const [path, { sha256, bytes: size }] of Object.entries(described)) {
      const content = readFileSync(join(out, path));
      expect([path, content.length, createHash('sha256').update(content).digest('hex')]).toEqual([
        path,
        size,
        sha256,
      ]);
    }
    expect(bytes).toBe(filesIn(out).reduce((sum, path) => sum + readFileSync(join(out, path)).length, 0));
    expect(manifest).toMatchObject({
      format: 'cohort-export',
      version: 1,
      run: { dataset: 'fashion-mnist', method: 'mcl', epoch: 2, finished: true },
      input: { name: 'pixel_values', channels: 1, height: 28, width: 28 },
      networks: [
        {
          name: 'resnet8-1',
          output: 'logits',
          embedding: { output: 'embedding', size: 64 },
          trained: { images: 40 },
        },
      ],
    });
    expect(reporter.warnings).toEqual([]);
    expect(reporter.messages.join('\n')).toContain('--network names another one: resnet8-2, ensemble or all');
  });

  test('with all networks gives, in one file, what each and their ensemble say', async () => {
    const { manifest } = await exportRun(run, options({ network: 'all' }));
    const outputs = await runOnnx(readFileSync(join(out, 'onnx/model.onnx')), input, [3, 1, 28, 28]);
    const [first, second, ensemble] = probabilitiesOf(run);

    expect(manifest.networks.map(({ name, output }) => [name, output])).toEqual([
      ['ensemble', 'logits'],
      ['resnet8-1', 'logits_resnet8-1'],
      ['resnet8-2', 'logits_resnet8-2'],
    ]);
    for (const [name, expected] of [
      ['logits', ensemble],
      ['logits_resnet8-1', first],
      ['logits_resnet8-2', second],
    ] as const) {
      expect(relativeError(softmax(outputs.get(name)), expected ?? new Float32Array())).toBeLessThan(1e-5);
    }
    expect(outputs.get('embedding_resnet8-2')).toHaveLength(3 * 64);
  });

  test('in every precision says how far each is from the network, by ONNX Runtime', async () => {
    const { manifest } = await exportRun(
      run,
      options({ precisions: ['int8', 'float32', 'float16'], maximumLoss: 100 }),
    );
    expect(manifest.models.map(({ path }) => path)).toEqual([
      'onnx/model.onnx',
      'onnx/model_fp16.onnx',
      'onnx/model_quantized.onnx',
    ]);
    const errors = manifest.models.map(({ parity }) => {
      const measured = parity.find(({ program }) => program.startsWith('onnxruntime-node 1.'));
      return measured?.networks[0]?.relativeError ?? NaN;
    });
    expect(errors[0]).toBeLessThan(1e-5);
    expect(errors[1]).toBeGreaterThan(1e-5);
    expect(errors[1]).toBeLessThan(1e-2);
    expect(errors[2]).toBeLessThan(0.3);
    const [, , int8] = manifest.models;
    expect(int8?.quantisation).toMatchObject({ calibrationImages: 20, weightBits: 8 });
    const card = readFileSync(join(out, 'README.md'), 'utf8');
    expect(card).toContain('ImageOps.exif_transpose(Image.open("photo.jpg"))');
    for (const { path, parity } of manifest.models)
      for (const { program, networks } of parity)
        for (const { name, accuracy, trainedAccuracy } of networks) {
          const row = card
            .split('\n')
            .find((line) => [`\`${path}\``, name, program].every((cell) => line.includes(` ${cell} |`)));
          const lost = (100 * (trainedAccuracy - accuracy)).toFixed(2);
          expect(row).toContain(
            `| ${(100 * accuracy).toFixed(2)} % | ${Number(lost) === 0 ? '0.00' : lost} |`,
          );
        }
    expect(card).toContain('| `onnx/model_quantized.onnx` | int8 |');
    expect(card).toContain('Fashion-MNIST');
    expect(card).not.toContain(world.path);
  });

  test('of a run that is not finished is written with a warning, and its card states it', async () => {
    const stop = new AbortController();
    const stopping = new RememberingReporter();
    stopping.epochEnd = () => {
      stop.abort();
    };
    const { runFolder } = await trainRun(world.recipe(), {
      signal: stop.signal,
      reporter: stopping,
      command: 'cohort train',
    });
    const { manifest } = await exportRun(runFolder, options());
    expect(manifest.run.finished).toBe(false);
    expect(reporter.warnings.join()).toContain(
      'The run is not finished (interrupted): exporting its checkpoint',
    );
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toContain('training had not finished');
  });
});

describe('refused, with nothing written:', () => {
  const refusal = async (changes: Partial<ExportOptions>, text: string): Promise<void> => {
    const failure = exportRun(run, options(changes));
    await expect(failure).rejects.toThrow(text);
    await expect(failure).rejects.toThrow(ExportError);
    expect(existsSync(out)).toBe(false);
    expect(leftovers()).toEqual([]);
  };

  test('a network that is not there', () =>
    refusal(
      { network: 'resnet8-3' },
      "The run has no network 'resnet8-3'. Did you mean 'resnet8-1'? Name one of resnet8-1, resnet8-2, ensemble, all.",
    ));
  test('torchvision for an architecture that it does not have', () =>
    refusal({ formats: ['torchvision'] }, 'torchvision has no architecture resnet8, only imagenet-resnet18'));
  test('torchvision for an ensemble', () =>
    refusal({ formats: ['torchvision'], network: 'ensemble' }, 'holds one network, not an ensemble'));
  test('a number of images that is none', () =>
    refusal({ testImages: 0 }, 'The number of test images is a whole number of at least 1, got 0.'));

  test('a run without a checkpoint', async () => {
    const empty = join(world.path, 'empty-run');
    mkdirSync(empty);
    for (const name of ['run.json', 'recipe.yaml'])
      writeFileSync(join(empty, name), readFileSync(join(run, name)));
    await expect(exportRun(empty, options())).rejects.toThrow('all of them were deleted');
    expect(existsSync(out)).toBe(false);
  });

  test('an export that is stopped', async () => {
    const stop = new AbortController();
    reporter.message = () => {
      stop.abort();
    };
    await expect(exportRun(run, options({ signal: stop.signal }))).rejects.toThrow('aborted');
    expect(existsSync(out)).toBe(false);
    expect(leftovers()).toEqual([]);
  });
});

describe('a target that is there', () => {
  test('is filled where it is empty, and refused where it is not', async () => {
    mkdirSync(out);
    await exportRun(run, options());
    const before = readFileSync(join(out, 'cohort.json'), 'utf8');
    await expect(exportRun(run, options({ network: 'resnet8-2' }))).rejects.toThrow(
      `The folder ${out} is not empty. Name another one with --out, or replace it with --force.`,
    );
    expect(readFileSync(join(out, 'cohort.json'), 'utf8')).toBe(before);
  });

  test('is replaced as a whole with force, old files included', async () => {
    await exportRun(run, options());
    writeFileSync(join(out, 'old.txt'), 'old');
    const { manifest } = await exportRun(run, options({ network: 'resnet8-2', force: true }));
    expect(manifest.networks[0]?.name).toBe('resnet8-2');
    expect(filesIn(out)).toEqual(['README.md', 'cohort.json', 'labels.json', 'onnx/model.onnx']);
    expect(leftovers()).toEqual([]);
  });

  test('is never replaced where no export made it, and a file never at all', async () => {
    mkdirSync(out);
    writeFileSync(join(out, 'thesis.tex'), 'years of work');
    await expect(exportRun(run, options({ force: true }))).rejects.toThrow(
      'was not written by cohort export',
    );
    expect(readFileSync(join(out, 'thesis.tex'), 'utf8')).toBe('years of work');
    await expect(exportRun(run, options({ out: join(out, 'thesis.tex'), force: true }))).rejects.toThrow(
      'is a file, not a folder',
    );
  });
});
