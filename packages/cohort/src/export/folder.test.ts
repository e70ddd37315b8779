/** The exported folder where it cannot be written: an error that says why, and nothing left behind. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunError } from '@cohort-ml/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { textFile, writeFolder } from './folder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cohort-export-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('writeFolder', () => {
  it('makes the folders above it', () => {
    const target = join(folder, 'a', 'b');
    writeFolder(target, [textFile('onnx/x.txt', 'x')], false);
    expect(readdirSync(target, { recursive: true }).sort()).toEqual(['onnx', 'onnx/x.txt']);
  });

  it('says what is in the way, and leaves nothing behind', () => {
    const file = join(folder, 'file');
    writeFileSync(file, 'mine');
    const write = (): void => {
      writeFolder(join(file, 'export'), [textFile('x.txt', 'x')], false);
    };
    expect(write).toThrow(RunError);
    expect(write).toThrow(/cannot write the export: .*Check the path\.$/s);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it.runIf(existsSync('/proc/self'))('comes back from a place where no folder can be made', () => {
    expect(() => {
      writeFolder('/proc/nowhere/export', [textFile('x.txt', 'x')], false);
    }).toThrow(/cannot write the export/);
  });
});
