/** Importing weights: the model is found, classes keep their names, networks of runs are taken, and wrong options are refused. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTensors } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { trainRun } from '../train/run/run.ts';
import { isTaskCheckpoint } from '../transfer/training/importTaskWeights.ts';
import { importWeights } from './importWeights.ts';
import { build, errorOf, kuangliu, load, save } from './testing.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

describe('importWeights', () => {
  it('finds the model, keeps names of classes, and writes what loads again as it is', () => {
    const source = build('resnet8', 1, 3);
    const path = save(join(world.path, 'three.safetensors'), source, (name) => `module.${kuangliu(name)}`);
    const classNamesPath = join(world.path, 'classes.txt');
    writeFileSync(classNamesPath, 'cat\ndog\nemu\n');
    const output = join(world.path, 'out.safetensors');
    const result = importWeights(path, { output, classNamesPath });
    expect(result).toMatchObject({
      model: 'resnet8',
      classes: 3,
      channels: 3,
      classifier: 'kept',
      classNames: ['cat', 'dog', 'emu'],
    });
    const { tensors, metadata } = loadTensors(output);
    expect([...tensors.keys()].sort()).toEqual([...source.stateDict().keys()].sort());
    expect(metadata['cohort.model']).toBe('resnet8');
    const network = build('resnet8', 2, 3);
    expect(load(network, output, { classNames: ['cat', 'dog', 'emu'] }).classifier).toBe('kept');
    expect(load(network, output, { classNames: ['cat', 'emu', 'fox'] }).whyFresh).toContain('other names');
    expect(errorOf(() => importWeights(path, { output })).message).toContain('or add --force');
    const fresh = importWeights(path, { output, classes: 5, model: 'resnet8', force: true });
    expect(fresh).toMatchObject({ classes: 5, classifier: 'fresh', classNames: null });
    const five = build('resnet8', 2, 5);
    expect(load(five, output).whyFresh).toBe("the file's was never trained");
  });

  it('finds the model of weights for grey images, and asks where two would fit', () => {
    const grey = save(join(world.path, 'grey2.safetensors'), build('resnet20', 1, 4, 1), (name) => name);
    const output = join(world.path, 'grey-out.safetensors');
    expect(importWeights(grey, { output })).toMatchObject({ model: 'resnet20', classes: 4, channels: 1 });
    const mobile = save(join(world.path, 'mobile.safetensors'), build('mobilenetv2', 1, 4), (name) => name);
    expect(errorOf(() => importWeights(mobile, { output, force: true })).message).toContain(
      'tensors that may be mobilenetv2 or imagenet-mobilenetv2. Name the model with --model',
    );
  });

  it('knows a model by its shapes when the names are foreign', () => {
    const path = save(join(world.path, 'foreign.safetensors'), build('resnet14', 1), (name) =>
      name.replace(/^layer(\d)/, 'part_$1'),
    );
    expect(errorOf(() => load(build('resnet8', 2), path)).message).toContain(
      'By their shapes these are the weights of resnet14 under other names: give those with --map old=new',
    );
  });

  it('refuses wrong options', () => {
    const bare = save(join(world.path, 'bare2.safetensors'), build('resnet8', 1), (name) =>
      name.startsWith('classifier') ? null : name,
    );
    const output = join(world.path, 'none.safetensors');
    expect(errorOf(() => importWeights(bare, { output, model: 'resnet8' })).message).toContain(
      'with --classes',
    );
    expect(() => importWeights(bare, { output, model: 'resnet9' })).toThrow("There is no model 'resnet9'");
    expect(
      errorOf(() => importWeights(bare, { output: bare, model: 'resnet8', force: true })).message,
    ).toContain('the source itself');
    expect(errorOf(() => importWeights(bare, { output, key: 'ema' })).message).toContain(
      'Give one of these keys.',
    );
    const names = join(world.path, 'names.json');
    writeFileSync(names, '["a", "a"]');
    expect(errorOf(() => importWeights(bare, { output, classNamesPath: names })).message).toContain(
      '2 names, 1 of them different',
    );
  });

  it('imports a network of a run, by its model or the only one that there is', async () => {
    const { signal } = new AbortController();
    const options = { command: 'test', signal, reporter: new RememberingReporter() };
    const train = { epochs: 1, batchSize: 32 };
    const { runFolder } = await trainRun(world.recipe({ train }), options);
    const output = join(world.path, 'of-run.safetensors');
    for (const given of [{}, { model: 'resnet8' }]) {
      expect(isTaskCheckpoint(runFolder)).toBe(false);
      const result = importWeights(runFolder, { output, force: true, ...given });
      expect(result).toMatchObject({ model: 'resnet8', classes: 10, channels: 1, classifier: 'kept' });
    }
    expect(() => importWeights(runFolder, { output, force: true, model: 'resnet14' })).toThrow(
      /has no network of model resnet14, only resnet8\./,
    );
    const networks = [{ model: 'resnet8' as const }, { model: 'resnet14' as const }];
    const mixed = await trainRun(world.recipe({ train, networks }), options);
    expect(() => importWeights(mixed.runFolder, { output, force: true })).toThrow(
      /has networks of several models: resnet8, resnet14\. Choose one of them with --model\.$/,
    );
  });
});
