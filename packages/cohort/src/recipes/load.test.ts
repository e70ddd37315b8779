/** Tests of reading recipes: files, names, YAML that is wrong, lines in messages, and overrides. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OverrideSyntaxError, RecipeError } from './errors.ts';
import { recipeNames, recipesFolder } from './folder.ts';
import { loadRecipe, parseRecipe } from './load.ts';

const text = `# A small one.
name: small
data: { dataset: fashion-mnist, trainImages: 200 }
networks: [&first { model: resnet8 }, *first]
method:
  name: mcl
  weights: { vcl: 0.2 }
train:
  epochs: 10
`;

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cohort-recipes-'));
  writeFileSync(join(folder, 'small.yaml'), text);
  writeFileSync(join(folder, 'large.yaml'), text.replace('name: small', 'name: large'));
  mkdirSync(join(folder, 'old.yaml'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof RecipeError) return error.message;
    throw error;
  }
  throw new Error('expected a RecipeError, nothing was thrown');
}

const parseMessage = (yaml: string, overrides: string[] = []): string =>
  messageOf(() => parseRecipe(yaml, 'r.yaml', overrides));

describe('finding a recipe', () => {
  const options = (): { recipesFolder: string } => ({ recipesFolder: folder });

  it('looks a bare name up in the folder, and takes anything else for a path', () => {
    expect(loadRecipe('large', [], options()).name).toBe('large');
    expect(loadRecipe(join(folder, 'small.yaml'), []).name).toBe('small');
  });

  it('lists recipes without folders, and finds its own next to the packages', () => {
    expect(recipeNames(folder)).toEqual(['large', 'small']);
    expect(recipeNames(join(folder, 'none'))).toEqual([]);
    expect(recipesFolder()).toMatch(/\/recipes$/);
    expect(recipesFolder()).not.toContain('packages');
  });

  it('names the recipes there are, and the nearest', () => {
    expect(messageOf(() => loadRecipe('smal', [], options()))).toBe(
      `recipe "smal": no recipe has that name; a path must end in .yaml. Did you mean small? The recipes in ${folder} are large, small.`,
    );
    expect(() => loadRecipe('smal', [], options())).toThrow(
      expect.objectContaining({
        operation: 'recipe "smal"',
        remedy: `Did you mean small? The recipes in ${folder} are large, small.`,
      }) as Error,
    );
    expect(messageOf(() => loadRecipe('nowhere/small.yaml', [], options()))).toMatch(
      /^recipe nowhere\/small\.yaml: no such recipe file\. Did you mean small\?/,
    );
    expect(messageOf(() => loadRecipe('', [], { recipesFolder: join(folder, 'none') }))).toContain(
      'There are no recipes in',
    );
  });

  it('refuses what is not a text file of modest size', () => {
    expect(messageOf(() => loadRecipe(join(folder, 'old.yaml')))).toContain('is a folder');
    writeFileSync(join(folder, 'bytes.yml'), Uint8Array.of(0x6e, 0xff, 0xfe, 0x00));
    expect(messageOf(() => loadRecipe(join(folder, 'bytes.yml')))).toContain(
      'not UTF-8 text. Save the file as UTF-8.',
    );
    writeFileSync(join(folder, 'huge.yml'), ' '.repeat(1_000_001));
    expect(messageOf(() => loadRecipe(join(folder, 'huge.yml')))).toContain(
      'got 1000001. Check that this is a recipe.',
    );
  });
});

describe('YAML', () => {
  it('is told wrong with line and column, every error at once', () => {
    expect(parseMessage('name: x\nname: y\ndata: !!what 2\n')).toBe(
      'r.yaml has 2 problems:\n  line 2, column 1: the key name is set a second time. Keep one of the two\n  line 3, column 7: not YAML: Unresolved tag: tag:yaml.org,2002:what',
    );
    const deep = parseMessage(`a: ${'['.repeat(3000)}\n`);
    expect(deep.split('\n').length).toBeLessThan(10);
    expect(parseMessage('train:\n\tepochs: 3\n')).toMatch(
      /^r\.yaml.*line 2, column 1: not YAML: Tabs are not allowed/s,
    );
  });

  it('must be one document that is not empty', () => {
    expect(parseMessage('# nothing\n')).toBe(
      "r.yaml: the file is empty. Write a recipe's settings into it; README.md shows one, and cohort methods show NAME lists those of a method.",
    );
    expect(parseMessage('')).toBe(
      "r.yaml: the file is empty. Write a recipe's settings into it; README.md shows one, and cohort methods show NAME lists those of a method.",
    );
    expect(parseMessage('a: 1\n---\nb: 2\n')).toMatch(
      /^r\.yaml: line 2, column \d: only one recipe per file is allowed/,
    );
  });

  it('may not grow without end through aliases', () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) => `l${level + 1}: &l${level + 1} [${`*l${level},`.repeat(9)}]`,
    );
    expect(parseMessage(['l0: &l0 [1]', ...levels].join('\n'))).toMatch(
      /^r\.yaml: not valid YAML: Excessive alias/,
    );
  });

  it('gives every problem its line, in the order of the file', () => {
    const yaml = text
      .replace('seed', 'x')
      .replace('epochs: 10', 'epochs: ten\n  epoch: 10')
      .replace('vcl: 0.2', 'vlc: -1');
    const lines = parseMessage(yaml).split('\n');
    expect(lines[0]).toBe('r.yaml has 3 problems:');
    expect(lines[1]).toMatch(/^ {2}method\.weights\.vlc \(line 7\): unknown key, did you mean vcl\?/);
    expect(lines[2]).toBe('  train.epochs (line 9): expected a whole number of at least 1, got "ten"');
    expect(lines[3]).toMatch(/^ {2}train\.epoch \(line 10\): unknown key, did you mean epochs\?/);
    expect(parseMessage(text.replace('model: resnet8', 'model: vgg'))).toContain(
      'networks.1.model (line 4): expected one of',
    );
  });
});

describe('overrides', () => {
  it('set values by dotted path, read as YAML', () => {
    const recipe = parseRecipe(text, 'r.yaml', [
      'train.epochs=20',
      'train.optimizer.learningRate=1e-3',
      'train.channelsLast=false',
      'train.schedule={ name: multi-step, milestones: [5, 10] }',
      'networks.0.model=resnet20',
      'networks.2.model=resnet14',
      'data.trainImages=null',
      'data.path=/a=b/c d',
      'name="2"',
    ]);
    expect(recipe.train).toMatchObject({
      epochs: 20,
      optimizer: { name: 'sgd', learningRate: 0.001 },
      channelsLast: false,
      schedule: { name: 'multi-step', milestones: [5, 10] },
    });
    // The second network is an alias of the first in the file, and stays as it was.
    expect(recipe.networks.map(({ model }) => model)).toEqual(['resnet20', 'resnet8', 'resnet14']);
    expect(recipe.data).toMatchObject({ trainImages: null, path: '/a=b/c d' });
    expect(recipe.name).toBe('2');
  });

  it('take effect in order, and an empty value is null', () => {
    expect(parseRecipe(text, 'r.yaml', ['seed=2', 'seed=3', 'data.trainImages=']).seed).toBe(3);
    expect(parseRecipe(text, 'r.yaml', ['data.path=#4']).data.path).toBe('#4');
  });

  it('are refused like settings in the file, and said to come from the command line', () => {
    const message = parseMessage(text, [
      'train.optimizer.learningRat=0.2',
      'trian.epochs=3',
      'seed=x',
      'train.batchSize=500',
    ]);
    expect(message).toContain(
      'train.optimizer.learningRat (from the command line): unknown key, did you mean learningRate?',
    );
    expect(message).toContain('trian (from the command line): unknown key, did you mean train?');
    expect(message).toContain('seed (from the command line): expected a whole number');
    expect(message).toContain(
      'train.batchSize (from the command line): expected at most data.trainImages (200)',
    );
  });

  it('must fit the lists and values that they go through', () => {
    expect(parseMessage(text, ['networks.7.model=resnet8'])).toBe(
      'r.yaml: networks.7.model (from the command line): expected an index from 0 to 2 (2 adds an entry), since networks is a list, got "7"',
    );
    expect(parseMessage(text, ['networks.first.model=resnet8'])).toContain('got "first"');
    expect(parseMessage(text, ['name.first=x'])).toContain(
      'expected name to be a section or a list, got "small"',
    );
    expect(parseMessage(text, ['__proto__.polluted=1'])).toContain(
      '__proto__ (from the command line): unknown key',
    );
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('say how to change to another method', () => {
    expect(parseMessage(text, ['method.name=independent'])).toContain(
      "simclr-mcl, not to independent; the keys of method are name; to change method as a whole, write 'method={ name: independent }'",
    );
    expect(parseRecipe(text, 'r.yaml', ['method={ name: independent }']).method).toEqual({
      name: 'independent',
    });
  });

  it('of another form are wrong usage, each told', () => {
    const parse = (): unknown =>
      parseRecipe(text, 'r.yaml', ['seed', '=3', 'a..b=2', 'seed=[1,', 'train.epochs=3']);
    expect(parse).toThrow(OverrideSyntaxError);
    expect(messageOf(parse).split('\n')).toEqual([
      'override "seed": expected key=value (for example train.epochs=20), got no "="',
      'override "=3": expected a dotted path such as train.epochs before the "=", got ""',
      'override "a..b=2": expected a dotted path such as train.epochs before the "=", got "a..b"',
      expect.stringMatching(/^override "seed=\[1,": expected a YAML value after the "="/),
    ]);
  });
});
