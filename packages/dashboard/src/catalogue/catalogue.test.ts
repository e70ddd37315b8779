/** The catalogue shows every folder as a row: runs as they go on, and damaged, newer, foreign and vanished ones with what is wrong. */
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RunRow } from '../api/types.ts';
import { brokenRun, epochRecords, onEnd, recipeText, temporaryFolder, writeRun } from '../test/folders.ts';
import { Catalogue } from './catalogue.ts';
import { recipeKey, settingsOf } from './settings.ts';

const NOTHING = { settings: [], metrics: [] };

function catalogueOf(root: string): Catalogue {
  const catalogue = new Catalogue(root);
  catalogue.readAll();
  onEnd(() => {
    catalogue.stop();
  });
  return catalogue;
}

function rowOf(catalogue: Catalogue, folder: string): RunRow | undefined {
  return catalogue.list(null, NOTHING).rows.find((row) => row.folder.startsWith(folder));
}

describe('rows', () => {
  test('hold last and best results, progress, and the settings that were asked for', () => {
    const root = temporaryFolder();
    writeRun(root, { name: 'one', seed: 7 });
    const [row] = catalogueOf(root).list(null, {
      settings: ['train.batchSize'],
      metrics: ['learningRate'],
    }).rows;
    expect(row).toMatchObject({
      name: 'one',
      state: 'finished',
      method: 'mcl',
      dataset: 'fashion-mnist',
      seed: 7,
      epochs: 4,
      epoch: 4,
      step: 40,
    });
    expect(row?.networks).toEqual(['resnet8', 'resnet8']);
    // The mean of the networks, without the ensemble.
    expect(row?.results.accuracy?.last).toBeCloseTo(0.41, 9);
    expect(row?.results.total?.best).toBe(0.25);
    expect(row?.results.learningRate?.last).toBe(0.1);
    expect(row?.settings).toEqual({ 'train.batchSize': 64 });
    expect(row?.trend).toEqual([0.11, 0.21, 0.31, 0.41]);
  });

  test('say what is wrong with folders that are no runs of this version', () => {
    const root = temporaryFolder();
    brokenRun(root, 'damaged', '{"schemaVersion": 1, "id"');
    brokenRun(root, 'newer', '{"schemaVersion": 99}');
    mkdirSync(join(root, 'foreign'));
    mkdirSync(join(root, '.hidden'));
    writeRun(root, { name: 'sound' });
    const catalogue = catalogueOf(root);
    expect(rowOf(catalogue, 'damaged')).toMatchObject({ state: 'damaged' });
    expect(rowOf(catalogue, 'damaged')?.problem).toContain('restore it from a copy');
    expect(rowOf(catalogue, 'newer')).toMatchObject({ state: 'newer' });
    expect(rowOf(catalogue, 'newer')?.problem).toContain('Update Cohort');
    expect(rowOf(catalogue, 'foreign')).toMatchObject({ state: 'foreign' });
    expect(rowOf(catalogue, 'sound')).toMatchObject({ state: 'finished', problem: null });
    expect(catalogue.entries()).toHaveLength(4);
  });

  test('say that a folder vanished, and show it again when it is back', () => {
    const root = temporaryFolder();
    const { path } = writeRun(root, { name: 'gone' });
    const catalogue = catalogueOf(root);
    const { revision } = catalogue.list(null, NOTHING);
    const aside = join(temporaryFolder(), 'aside');
    renameSync(path, aside);
    catalogue.readAll();
    const changed = catalogue.list(revision, NOTHING);
    expect(changed.complete).toBe(false);
    expect(changed.rows).toMatchObject([{ state: 'vanished' }]);
    renameSync(aside, path);
    catalogue.readAll();
    expect(rowOf(catalogue, 'gone')).toMatchObject({ state: 'finished' });
  });

  test('follow a run that goes on, and give only what has changed', () => {
    const root = temporaryFolder();
    const run = writeRun(root, { name: 'live', done: 1, isOpen: true });
    writeRun(root, { name: 'rest' });
    const catalogue = catalogueOf(root);
    expect(rowOf(catalogue, 'live')).toMatchObject({ state: 'running', epoch: 1 });
    const { revision } = catalogue.list(null, NOTHING);
    catalogue.look();
    expect(catalogue.list(revision, NOTHING).rows).toEqual([]);
    const told: string[][] = [];
    catalogue.listen((_, runs) => told.push([...runs]));
    for (const record of epochRecords(2)) run.metrics(record);
    run.flush();
    catalogue.look();
    expect(catalogue.list(revision, NOTHING).rows).toMatchObject([{ name: 'live', epoch: 2 }]);
    expect(told).toEqual([[rowOf(catalogue, 'live')?.id]]);
    run.finish({});
    catalogue.look();
    expect(rowOf(catalogue, 'live')).toMatchObject({ state: 'finished' });
  });

  test('call a run stopped whose process is gone', () => {
    const root = temporaryFolder();
    const run = writeRun(root, { name: 'killed', done: 1, isOpen: true });
    // As after a kill whose lock somebody has cleared away.
    rmSync(join(run.path, 'lock.json'));
    expect(rowOf(catalogueOf(root), 'killed')).toMatchObject({ state: 'stopped', epoch: 1 });
  });

  test('read a log of which the last line was cut off, and pass over damaged ones', () => {
    const root = temporaryFolder();
    const { path } = writeRun(root, { name: 'cut', done: 2 });
    appendFileSync(join(path, 'metrics.jsonl'), 'nonsense\n{"kind":"epoch","step":30,"epo');
    expect(rowOf(catalogueOf(root), 'cut')).toMatchObject({ epoch: 2, state: 'finished' });
  });
});

test('runs of a comparison belong to it, and the folder of the comparison is no run', () => {
  const root = temporaryFolder();
  mkdirSync(join(root, 'compared'));
  writeFileSync(join(root, 'compared', 'comparison.json'), '{"version": 1, "name": "compared", "cells": []}');
  writeRun(join(root, 'compared'), { name: 'inside' });
  const catalogue = catalogueOf(root);
  expect(catalogue.entries()).toHaveLength(1);
  const [found] = catalogue.comparisons();
  expect(found?.folder).toBe('compared');
  expect(rowOf(catalogue, 'compared/inside')?.comparison).toMatch(/^[0-9a-f]{12}$/);
});

test('an id is the same after every start and differs between folders', () => {
  const root = temporaryFolder();
  const { path } = writeRun(root, { name: 'one' });
  writeRun(root, { name: 'two' });
  const first = rowOf(catalogueOf(root), 'one')?.id;
  expect(rowOf(catalogueOf(root), 'one')?.id).toBe(first);
  expect(rowOf(catalogueOf(root), 'two')?.id).not.toBe(first);
  expect(first).not.toContain(path);
});

test('fields are the settings with several values first, and all metrics', () => {
  const root = temporaryFolder();
  writeRun(root, { name: 'one', seed: 1 });
  writeRun(root, { name: 'two', seed: 2 });
  const { settings, metrics } = catalogueOf(root).fields();
  expect(
    settings
      .slice(0, 2)
      .map(({ key }) => key)
      .sort(),
  ).toEqual(['name', 'seed']);
  expect(metrics).toContain('accuracy/ensemble');
});

test('recipes are the same but for seed, name and machine', () => {
  const key = (text: string): string => recipeKey(settingsOf(text));
  const base = recipeText({ seed: 1, name: 'a' });
  expect(key(recipeText({ seed: 2, name: 'b' }))).toBe(key(base));
  expect(key(`${base}engine:\n  threads: 8\n`)).toBe(key(base));
  expect(key(recipeText({ method: 'dml' }))).not.toBe(key(base));
  expect(key('')).toBe('');
});
