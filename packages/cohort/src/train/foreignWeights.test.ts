/** Weights by the names of timm and transformers, with heads in a sequence and classes in another order, become ours. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Generator, saveTensors, Tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNetwork, type Network } from '../models/index.ts';
import { importWeights } from '../cohort/importWeights.ts';
import { describePretrained, loadPretrained, type Pretrained } from '../cohort/pretrained.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cohort-foreign-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function build(model: string, seed: number, classes: number): Network {
  return createNetwork(model, { classes, channels: 3, generator: new Generator(seed) });
}

function save(
  name: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Record<string, string> = {},
): string {
  const path = join(folder, name);
  saveTensors(path, tensors, metadata);
  return path;
}

function load(network: Network, path: string, model: string, classNames?: readonly string[]): Pretrained {
  const classes = network.classifier.weight.shape[0] ?? 0;
  return loadPretrained(network, { path, model, ordinal: 0, channels: 3, classes, classNames });
}

const renamed = (network: Network, rename: (name: string) => string): [string, Tensor][] =>
  [...network.stateDict()].map(([name, tensor]) => [rename(name), tensor]);

function rows(network: Network): number[][] {
  const values = network.classifier.weight.toNumbers();
  return [0, 1, 2].map((row) => values.slice((row * values.length) / 3, ((row + 1) * values.length) / 3));
}

/** torchvision's names as `microsoft/resnet-18` has them. */
function asTransformersResnet(name: string): string {
  const inner = name
    .replace(/^conv1\./, 'resnet.embedder.embedder.convolution.')
    .replace(/^bn1\./, 'resnet.embedder.embedder.normalization.')
    .replace(/^fc\./, 'classifier.1.');
  return inner.replace(/^layer(\d)\.(\d)\.(conv|bn|downsample\.)(\d)\./, (_, stage, block, kind, number) => {
    const [start, part] = [`resnet.encoder.stages.${Number(stage) - 1}.layers.${block}`, Number(number)];
    if (kind === 'downsample.') return `${start}.shortcut.${part === 0 ? 'convolution' : 'normalization'}.`;
    return `${start}.layer.${part - 1}.${kind === 'conv' ? 'convolution' : 'normalization'}.`;
  });
}

/** torchvision's names as timm's `mobilenetv2_100` has them. */
function asTimmMobilenet(name: string): string {
  const [, index = '', rest = ''] = /^features\.(\d+)\.(.+)$/.exec(name) ?? [];
  if (index === '') return name.replace(/^classifier\.1\./, 'classifier.');
  const block = Number(index);
  if (block === 0) return rest.replace(/^0\./, 'conv_stem.').replace(/^1\./, 'bn1.');
  if (block === 18) return rest.replace(/^0\./, 'conv_head.').replace(/^1\./, 'bn2.');
  const firsts = [1, 2, 4, 7, 11, 14, 17];
  const stage = firsts.findLastIndex((first) => first <= block);
  const parts: readonly (readonly [string, string])[] =
    block === 1
      ? [
          ['conv.0.0.', 'conv_dw.'],
          ['conv.0.1.', 'bn1.'],
          ['conv.1.', 'conv_pw.'],
          ['conv.2.', 'bn2.'],
        ]
      : [
          ['conv.0.0.', 'conv_pw.'],
          ['conv.0.1.', 'bn1.'],
          ['conv.1.0.', 'conv_dw.'],
          ['conv.1.1.', 'bn2.'],
          ['conv.2.', 'conv_pwl.'],
          ['conv.3.', 'bn3.'],
        ];
  const [from = '', to = ''] = parts.find(([start]) => rest.startsWith(start)) ?? [];
  return `blocks.${stage}.${block - (firsts[stage] ?? 0)}.${to}${rest.slice(from.length)}`;
}

describe('names of timm and transformers', () => {
  it.each<[string, string, (name: string) => string]>([
    ['transformers ResNet-18', 'imagenet-resnet18', asTransformersResnet],
    ['timm MobileNetV2', 'imagenet-mobilenetv2', asTimmMobilenet],
  ])('takes %s', (title, model, rename) => {
    const source = build(model, 1, 4);
    const path = save(`${model}.safetensors`, renamed(source, rename));
    const network = build(model, 2, 4);
    expect(load(network, path, model)).toMatchObject({ classifier: 'kept', ignored: [] });
    for (const [name, tensor] of network.stateDict()) {
      if (name.endsWith('num_batches_tracked')) continue;
      expect(
        tensor
          .sub(source.stateDict().get(name) ?? tensor)
          .abs()
          .max()
          .item(),
        `${title} ${name}`,
      ).toBe(0);
    }
  });
});

describe('heads in a sequence', () => {
  const source = (): Network => build('resnet8', 1, 3);
  it.each(['fc.1', 'head.fc', 'classifier.2', 'heads.head', 'fc.0.1'])('finds %s', (head) => {
    const path = save(
      'head.safetensors',
      renamed(source(), (name) => name.replace('classifier', head)),
    );
    expect(load(build('resnet8', 2, 3), path, 'resnet8').classifier).toBe('kept');
  });

  it('keeps no head of two layers, even where a layer has the right width', () => {
    const network = source();
    const entries = renamed(network, (name) => name.replace('classifier', 'fc.3'));
    const hidden: [string, Tensor][] = [
      ['fc.0.weight', Tensor.fromTypedArray(new Float32Array(64 * 64)).view([64, 64])],
      ['fc.0.bias', Tensor.fromTypedArray(new Float32Array(64))],
    ];
    const path = save('deep.safetensors', [...hidden, ...entries]);
    expect(load(build('resnet8', 2, 3), path, 'resnet8').whyFresh).toBe(
      "the file's is not one linear layer of this width",
    );
  });
});

describe('the order of the classes', () => {
  it('moves rows of the classifier by name, from metadata or a configuration next to the file', () => {
    const source = build('resnet8', 1, 3);
    const [cat, dog, emu] = rows(source);
    const entries = renamed(source, (name) => name);
    const named = save('named.safetensors', entries, { class_to_idx: '{"cat":0,"dog":1,"emu":2}' });
    writeFileSync(join(folder, 'config.json'), '{"id2label":{"0":"cat","1":"dog","2":"emu"}}');
    for (const path of [named, save('model.safetensors', entries)]) {
      const network = build('resnet8', 2, 3);
      const loaded = load(network, path, 'resnet8', ['emu', 'cat', 'dog']);
      expect(loaded).toMatchObject({ classifier: 'kept', isReordered: true });
      expect(rows(network)).toEqual([emu, cat, dog]);
      expect(describePretrained('a', loaded)).toContain('with its classifier, its rows put into the order');
      const same = build('resnet8', 2, 3);
      expect(load(same, path, 'resnet8', ['cat', 'dog', 'emu']).isReordered).toBe(false);
      expect(rows(same)).toEqual([cat, dog, emu]);
    }
  });

  it('counts rows from 1 where the file does, with a note', () => {
    const source = build('resnet8', 1, 3);
    const [cat, dog, emu] = rows(source);
    const entries = renamed(source, (name) => name);
    const path = save('from-one.safetensors', entries, { class_to_idx: '{"cat":1,"dog":2,"emu":3}' });
    const network = build('resnet8', 2, 3);
    const loaded = load(network, path, 'resnet8', ['emu', 'cat', 'dog']);
    expect(rows(network)).toEqual([emu, cat, dog]);
    expect(describePretrained('a', loaded)).toContain('class_to_idx counts from 1: cat was taken for');
  });

  it.each([
    [
      { class_to_idx: '{"cat":0,"dog":1,"emu":2}', class_names: '["dog","cat","emu"]' },
      'expected one name for each of the 3 rows of the classifier, got class_to_idx with cat in row 0, and class_names with dog there.',
    ],
    [
      { class_to_idx: '{"cat":0,"dog":2,"emu":4}' },
      'got class_to_idx with cat in row 0, dog in row 2, emu in row 4, which leaves rows out.',
    ],
  ])('refuses %j, unless the names of the rows are given', (metadata, message) => {
    const source = build('resnet8', 1, 3);
    const entries = renamed(source, (name) => name);
    const path = save('doubtful.safetensors', entries, metadata);
    const network = build('resnet8', 2, 3);
    const before = rows(network);
    expect(() => load(network, path, 'resnet8', ['cat', 'dog', 'emu'])).toThrow(message);
    expect(() => load(network, path, 'resnet8')).toThrow(`cohort import ${path} --class-names FILE.`);
    expect(rows(network)).toEqual(before);
    const names = join(folder, 'names.txt');
    writeFileSync(names, 'dog\ncat\nemu\n');
    const output = join(folder, 'clear.safetensors');
    expect(importWeights(path, { output, classNamesPath: names, force: true })).toMatchObject({
      classifier: 'kept',
      isReordered: false,
      classNames: ['dog', 'cat', 'emu'],
    });
    // A classifier of its own needs no names of the file's.
    expect(load(build('resnet8', 2, 4), path, 'resnet8').classifier).toBe('fresh');
  });

  it('reports a number of names that differs from the number of classes', () => {
    const source = build('resnet8', 1, 3);
    const entries = renamed(source, (name) => name);
    const path = save('four.safetensors', entries, { class_to_idx: '{"cat":0,"dog":1,"emu":2,"owl":3}' });
    const loaded = load(build('resnet8', 2, 3), path, 'resnet8', ['emu', 'cat', 'dog']);
    expect(loaded).toMatchObject({ classifier: 'kept', isReordered: false, unusableNames: 4 });
    expect(describePretrained('a', loaded)).toContain('its 4 class names do not fit its classifier');
  });
});
