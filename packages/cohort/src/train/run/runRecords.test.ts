/** A training leaves its progress in the log, its metrics in the store and in event files, whatever the console shows. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRun, openStore } from '@cohort-ml/runs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SilentReporter, type Reporter } from '../../progress/reporter.ts';
import { RunRecords } from './runRecords.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cohort-records-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

class WarningsReporter extends SilentReporter {
  readonly warnings: string[] = [];
  override warning(text?: string): void {
    this.warnings.push(text ?? '');
  }
}

function start(reporter: Reporter, tensorboard?: string | true): ReturnType<typeof createRun> {
  const records = new RunRecords({ reporter, ...(tensorboard === undefined ? {} : { tensorboard }) });
  records.reporter.warning('two broken images\nwere left out');
  const run = createRun({
    root,
    name: 'small',
    recipe: 'name: small\n',
    environment: {},
    command: 'test',
    now: () => new Date(Date.UTC(2026, 0, 2)),
  });
  records.attach(run, 'name: small\n');
  records.reporter.epochStart({ epoch: 1, epochs: 2, stepsPerEpoch: 3, learningRate: 0.1 });
  records.reporter.epochEnd({
    epoch: 1,
    epochs: 2,
    seconds: 3,
    imagesPerSecond: 10,
    secondsLeft: 3,
    learningRate: 0.1,
    terms: { total: 2.5 },
    accuracies: [{ name: 'resnet8-1', accuracy: 0.5 }],
  });
  run.metrics({ kind: 'epoch', step: 3, epoch: 1, timeMs: 10, values: { total: 2.5 } });
  return run;
}

describe('the records of a run', () => {
  it('hold every line with its time in the log, those before the run included, also of a silent training', () => {
    const run = start(new SilentReporter());
    run.finish({});
    const time = '2026-01-02T00:00:00.000Z';
    const lines = readFileSync(join(run.path, 'log.txt'), 'utf8').split('\n');
    expect(lines).toEqual([
      `${time} warning: two broken images`,
      `${time} were left out`,
      expect.stringMatching(
        /^2026-01-02T00:00:00\.000Z epoch 1\/2 {2}3 s .* total 2\.500 {2}accuracy resnet8-1 50\.0%$/,
      ),
      `${time} the run is finished`,
      '',
    ]);
  });

  it('are in the store when the run has ended', () => {
    const run = start(new SilentReporter());
    run.interrupt();
    const store = openStore(root);
    expect(store.run(run.info.id)).toMatchObject({ state: 'interrupted', lastStep: 3 });
    expect(store.series(run.info.id, 'total')).toMatchObject([{ step: 3, value: 2.5 }]);
    store.close();
  });

  it('go into event files where they are asked for: in the run, or in a folder for many', () => {
    const inside = start(new SilentReporter(), true);
    expect(readdirSync(join(inside.path, 'tensorboard'))).toHaveLength(1);
    expect(readFileSync(join(inside.path, 'log.txt'), 'utf8')).toContain(
      `for TensorBoard: tensorboard --logdir ${join(inside.path, 'tensorboard')}`,
    );
    const board = join(root, 'board');
    const outside = start(new SilentReporter(), board);
    expect(readdirSync(board)).toEqual([outside.info.id]);
  });

  it('go on in the event files of a run that has some', () => {
    const run = createRun({ root, name: 'small', recipe: '', environment: {}, command: 'test' });
    const folder = join(run.path, 'tensorboard');
    mkdirSync(folder);
    new RunRecords({ reporter: new SilentReporter() }).attach(run, '');
    run.metrics({ kind: 'epoch', step: 6, epoch: 2, timeMs: 20, values: { total: 2 } });
    expect(readdirSync(folder)).toHaveLength(1);
    run.interrupt();
  });

  it('do not end a training when they cannot be written, and say so once', () => {
    const reporter = new WarningsReporter();
    const run = start(reporter);
    rmSync(join(root), { recursive: true });
    const records = new RunRecords({ reporter });
    records.attach(run, '');
    records.reporter.message('one');
    records.reporter.message('two');
    expect(
      reporter.warnings.filter((text) => text.includes('the log can no longer be written')),
    ).toHaveLength(1);
  });
});
