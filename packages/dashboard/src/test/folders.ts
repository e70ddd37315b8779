/** Folders of runs for tests: real ones made by the writer of run folders, and broken ones. */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRun, type MetricRecord, type RunWriter } from '@cohort-ml/runs';
import { afterEach } from 'vitest';

const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

/** Runs when the test ends. */
export function onEnd(cleanUp: () => void): void {
  cleanUps.push(cleanUp);
}

/** An empty folder that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cohort-dashboard-'));
  onEnd(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** What a test run is. */
export interface RunPlan {
  readonly name?: string;
  readonly method?: string;
  readonly seed?: number;
  readonly epochs?: number;
  /** Epochs that are recorded; all unless given. */
  readonly done?: number;
  /** Left open for the test to go on with. */
  readonly isOpen?: boolean;
}

const STEPS_PER_EPOCH = 10;

/** The text of a recipe. */
export function recipeText({ name = 'demo', method = 'mcl', seed = 1, epochs = 4 }: RunPlan): string {
  return [
    `name: ${JSON.stringify(name)}`,
    `seed: ${seed}`,
    'data:',
    '  dataset: fashion-mnist',
    'networks:',
    '  - model: resnet8',
    '  - model: resnet8',
    'method:',
    `  name: ${method}`,
    'train:',
    `  epochs: ${epochs}`,
    '  batchSize: 64',
    '',
  ].join('\n');
}

/** Writes a run with an accuracy that grows by a tenth with every epoch. */
export function writeRun(root: string, plan: RunPlan = {}): RunWriter {
  const { name = 'demo', epochs = 4, done = epochs, isOpen = false } = plan;
  const run = createRun({
    root,
    name,
    recipe: recipeText(plan),
    environment: { node: '20', cpu: 'test', cores: 2 },
    command: `cohort train ${name}`,
  });
  for (let epoch = 1; epoch <= done; epoch += 1) {
    for (const record of epochRecords(epoch)) run.metrics(record);
  }
  run.flush();
  if (!isOpen) run.finish({ epochs, seconds: 4, peakMemoryBytes: 1_000_000 });
  return run;
}

/** The records of one epoch. */
export function epochRecords(epoch: number): MetricRecord[] {
  const first = (epoch - 1) * STEPS_PER_EPOCH;
  const steps = Array.from({ length: STEPS_PER_EPOCH }, (_, index): MetricRecord => {
    const step = first + index + 1;
    return { kind: 'step', step, epoch, timeMs: step * 100, values: { total: 5 / step, vcl: 4 } };
  });
  return [
    ...steps,
    {
      kind: 'epoch',
      step: epoch * STEPS_PER_EPOCH,
      epoch,
      timeMs: epoch * STEPS_PER_EPOCH * 100 + 1,
      values: {
        total: 1 / epoch,
        'accuracy/resnet8-1': epoch / 10,
        'accuracy/resnet8-2': epoch / 10 + 0.02,
        'accuracy/ensemble': epoch / 10 + 0.05,
        'embedding/resnet8-1/effectiveRank': 10 + epoch,
        learningRate: 0.1,
      },
    },
  ];
}

/** A folder with a `run.json` of this content. */
export function brokenRun(root: string, folder: string, info: string): string {
  const path = join(root, folder);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'run.json'), info);
  return path;
}

/** Appends lines to a file as a writer at work does. */
export function append(path: string, lines: string): void {
  appendFileSync(path, lines);
}
