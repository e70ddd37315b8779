/** Builds go on after a source file has moved: what was compiled from its old place is forgotten, and nothing else. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeStaleObjects } from '../../scripts/staleObjects.mjs';

let root: string;
let build: string;
let sources: string;

function compiled(name: string, rule: string): void {
  writeFileSync(join(build, `${name}.o`), '');
  writeFileSync(join(build, `${name}.d`), rule);
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cohort-stale-'));
  build = join(root, 'build');
  sources = join(root, 'native');
  mkdirSync(join(sources, 'with space'), { recursive: true });
  mkdirSync(build);
  writeFileSync(join(sources, 'here.cc'), '');
  writeFileSync(join(sources, 'with space', 'there.cc'), '');
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

test('objects of sources that moved are removed, others and foreign files stay', () => {
  compiled('here', '../build/here.o: here.cc gone.h\ngone.h:\n');
  compiled('there', '../build/there.o: \\\n with\\ space/there.cc\n');
  compiled('moved', '../build/moved.o: \\\n old/moved.cc here.cc\n');
  writeFileSync(join(build, 'flags'), '{}');
  expect(removeStaleObjects(build, sources)).toEqual(['moved.o']);
  expect(readdirSync(build).toSorted()).toEqual(['flags', 'here.d', 'here.o', 'there.d', 'there.o']);
});

test('a build that never was has nothing to remove', () => {
  expect(removeStaleObjects(join(root, 'none'), sources)).toEqual([]);
});
