/** The networks that come with Cohort are what their list says, start trainings, and are copied whole or not at all. */
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/testing.ts';
import { copyOffered } from './copyOffered.ts';
import {
  findOffered,
  listOffered,
  offeredFolder,
  offeredPath,
  portableWeights,
  weightsPath,
} from './offered.ts';
import { openWeights } from './weightsFile.ts';

let world = temporaryFolder();
beforeEach(() => {
  world = temporaryFolder();
});
afterEach(() => {
  world.remove();
});

describe('the list', () => {
  it.each(listOffered().map((entry) => [entry.name, entry] as const))(
    '%s is true of its file',
    (_, entry) => {
      const path = offeredPath(entry);
      expect(statSync(path).size).toBe(entry.bytes);
      expect(createHash('sha256').update(readFileSync(path)).digest('hex')).toBe(entry.sha256);
      const file = openWeights(path);
      expect(file.classNames).toHaveLength(entry.classes);
      expect(file.metadata['cohort.model']).toBe(entry.model);
      file.close();
    },
  );

  it('stays below two megabytes in all', () => {
    expect(listOffered().reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(2e6);
  });
});

describe('a name', () => {
  it('stands for the file, with the prefix only', () => {
    expect(weightsPath('cohort:resnet20-cifar100-5000')).toBe(
      join(offeredFolder(), 'resnet20-cifar100-5000.safetensors'),
    );
    expect(weightsPath('some/file.pth')).toBe('some/file.pth');
    expect(findOffered('resnet20-cifar100-5000').model).toBe('resnet20');
  });

  it('stays in a recipe that is used from another folder, where a path becomes absolute', () => {
    expect(portableWeights('cohort:resnet20-cifar100-5000')).toBe('cohort:resnet20-cifar100-5000');
    expect(portableWeights('some/file.pth')).toBe(resolve('some/file.pth'));
    expect(portableWeights(null)).toBeNull();
  });

  it('that is unknown is refused with the nearest', () => {
    expect(() => weightsPath('cohort:resnet20-cifar10-5000')).toThrow(
      /expected one of .*, got 'resnet20-cifar10-5000'\. Did you mean resnet20-cifar100-5000\?/,
    );
  });
});

describe('a copy', () => {
  const name = 'resnet20-cifar100-5000';

  it('has the same bytes, and replaces no file unless forced', () => {
    const output = join(world.path, 'mine.safetensors');
    expect(copyOffered(name, { output })).toEqual({ name, output });
    expect(readFileSync(output).equals(readFileSync(offeredPath({ name })))).toBe(true);
    writeFileSync(output, 'mine');
    expect(() => copyOffered(name, { output })).toThrow(/Choose another --output, or add --force/);
    expect(readFileSync(output, 'utf8')).toBe('mine');
    copyOffered(name, { output, force: true });
    expect(statSync(output).size).toBe(findOffered(name).bytes);
  });

  it('says in plain words why a place cannot be written to', () => {
    const output = join(world.path, 'nowhere', 'mine.safetensors');
    expect(() => copyOffered(name, { output })).toThrow(
      `writing ${output}: expected a folder that can be written to, got nothing at that path. Choose another --output.`,
    );
  });

  it('of a damaged file is refused, and nothing is written', () => {
    const folder = join(world.path, 'weights');
    cpSync(offeredFolder(), folder, { recursive: true });
    const path = offeredPath({ name }, folder);
    const bytes = readFileSync(path);
    bytes[5000] = (bytes[5000] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const output = join(world.path, 'mine.safetensors');
    expect(() => copyOffered(name, { output, folder })).toThrow(/expected the SHA-256 [0-9a-f]{64}, got/);
    expect(statSync(output, { throwIfNoEntry: false })).toBeUndefined();
  });
});
