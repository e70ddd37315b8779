/** Tests of progress on a console: what a terminal shows after redraws, what a pipe holds, and who is not to be disturbed. */
import { describe, expect, it } from 'vitest';
import { ConsoleReporter } from './consoleReporter.ts';
import type { EpochEndEvent, StepEvent } from './reporter.ts';
import { SilentReporter } from './reporter.ts';

class FakeStream {
  text = '';
  readonly isTTY: boolean;
  columns: number;
  rows = 50;

  constructor(isTTY: boolean, columns = 80) {
    this.isTTY = isTTY;
    this.columns = columns;
  }

  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

const ESCAPE = '\u001B';

/** What a terminal shows after these bytes, colours left out: carriage return, cursor up and clear to the end are all else. */
function screenOf(coloured: string): string[] {
  const text = coloured.replaceAll(new RegExp(`${ESCAPE}\\[\\d*m`, 'g'), '');
  let rows = [''];
  let row = 0;
  let column = 0;
  for (const [token] of text.matchAll(new RegExp(`${ESCAPE}\\[\\d*[A-Za-z]|[^]`, 'gu'))) {
    if (token === '\n') {
      row += 1;
      column = 0;
      rows[row] ??= '';
    } else if (token === '\r') column = 0;
    else if (token === '\u001B[J') rows = [...rows.slice(0, row), (rows[row] ?? '').slice(0, column)];
    else if (token.endsWith('A')) row -= Number(token.slice(2, -1));
    else if (token.startsWith('\u001B')) throw new Error(`unexpected escape ${JSON.stringify(token)}`);
    else {
      rows[row] = (rows[row] ?? '').slice(0, column) + token;
      column += 1;
    }
  }
  return rows;
}

interface Setup {
  reporter: ConsoleReporter;
  output: FakeStream;
  warnings: FakeStream;
  clock: { ms: number };
}

function setUp(
  isTTY: boolean,
  options: { columns?: number; variables?: Record<string, string>; quiet?: boolean; memory?: number } = {},
): Setup {
  const output = new FakeStream(isTTY, options.columns ?? 200);
  const warnings = new FakeStream(isTTY);
  const clock = { ms: 0 };
  const { variables = {}, quiet = false } = options;
  const { memory } = options;
  const reporter = new ConsoleReporter({
    output,
    warnings,
    variables,
    quiet,
    now: () => clock.ms,
    ...(memory === undefined ? {} : { memoryBytes: () => memory }),
  });
  return { reporter, output, warnings, clock };
}

const step: StepEvent = {
  epoch: 3,
  epochs: 40,
  step: 12,
  stepsPerEpoch: 31,
  imagesPerSecond: 1234.4,
  secondsLeft: 130,
  terms: { classification: 1.23456, vcl: 4.8, softVcl: 0.01234, softIcl: 0 },
};

const unmeasured: EpochEndEvent = {
  epoch: 3,
  epochs: 40,
  seconds: 3.4,
  imagesPerSecond: 1200,
  secondsLeft: 127,
  learningRate: 0.0987,
  terms: { classification: 1.2, vcl: 4.8 },
};

const epochEnd: EpochEndEvent = {
  ...unmeasured,
  accuracies: [
    { name: 'resnet8-1', accuracy: 0.8612 },
    { name: 'resnet8-2', accuracy: 0.859 },
  ],
};

const epochLine =
  'epoch 3/40  3 s  1,200 images/s  2 min 07 s left  learning rate 0.0987  classification 1.200  vcl 4.800';
const accuracy = 'accuracy resnet8-1 86.1%  resnet8-2 85.9%';
const liveRows = [
  'epoch 3/40 [========>               ] 12/31  1,234 images/s  2 min 10 s left',
  'classification 1.235  vcl 4.800  softVcl 0.0123  softIcl 0',
];
const liveEpochRows = [
  'epoch 3/40 [========================]  3 s  1,200 images/s  2 min 07 s left  learning rate 0.0987',
  'classification 1.200  vcl 4.800',
];

describe('in a pipe', () => {
  it('writes one plain line per epoch', () => {
    const { reporter, output, warnings } = setUp(false);
    reporter.message('Training two networks.');
    reporter.epochStart({ epoch: 3, epochs: 40, stepsPerEpoch: 31, learningRate: 0.1 });
    reporter.step(step);
    reporter.epochEnd(epochEnd);
    reporter.close();
    expect(output.text).toBe(`Training two networks.\n${epochLine}  ${accuracy}\n`);
    expect(warnings.text).toBe('');
  });

  it('shows control characters of names, which could move the cursor or change colours', () => {
    const { reporter, output, warnings } = setUp(false);
    reporter.message('reading \u001B[31ma.jpg');
    reporter.warning('broken: \u001B[2Jb.jpg\nand c.jpg');
    expect(output.text).toBe('reading \\u001b[31ma.jpg\n');
    expect(warnings.text).toBe('warning: broken: \\u001b[2Jb.jpg\nand c.jpg\n');
  });

  it('writes nothing inside an epoch, however long it takes', () => {
    const { reporter, output, clock } = setUp(false);
    reporter.epochStart({ epoch: 3, epochs: 40, stepsPerEpoch: 31, learningRate: 0.1 });
    for (let index = 0; index < 25; index += 1) {
      reporter.step(step);
      clock.ms += 1000;
    }
    expect(output.text).toBe('');
    reporter.epochEnd(epochEnd);
    expect(output.text).toBe(`${epochLine}  ${accuracy}\n`);
  });

  it('says that the last epoch is the last, and writes numbers that are not finite', () => {
    const { reporter, output } = setUp(false);
    reporter.epochEnd({ ...epochEnd, epoch: 40, terms: { vcl: NaN, icl: 0.00001 }, secondsLeft: NaN });
    expect(output.text).toMatch(/^epoch 40\/40 .* done .* vcl NaN {2}icl 1\.0e-5 /);
  });

  it('leaves out accuracies in epochs without evaluation, and unknown times', () => {
    const { reporter, output } = setUp(false);
    reporter.epochEnd({ ...unmeasured, secondsLeft: Infinity, imagesPerSecond: NaN });
    expect(output.text).toBe(
      'epoch 3/40  3 s  ? images/s  time left unknown  learning rate 0.0987  classification 1.200  vcl 4.800\n',
    );
  });
});

describe('in a terminal', () => {
  it('redraws where it stands, the terms, and the accuracies of the last evaluation', () => {
    const { reporter, output, clock } = setUp(true);
    reporter.step({ ...step, step: 1 });
    expect(screenOf(output.text)).toEqual([
      'epoch 3/40 [>                       ] 1/31  1,234 images/s  2 min 10 s left',
      liveRows[1],
    ]);
    clock.ms += 200;
    reporter.epochEnd(epochEnd);
    expect(screenOf(output.text)).toEqual([...liveEpochRows, accuracy]);
    clock.ms += 200;
    reporter.step({ ...step, epoch: 4 });
    expect(screenOf(output.text)).toEqual([liveRows[0]?.replace('3/40', '4/40'), liveRows[1], accuracy]);
  });

  it('shows the memory that the process takes', () => {
    const { reporter, output, clock } = setUp(true, { memory: 933 * 2 ** 20 });
    reporter.step(step);
    expect(screenOf(output.text)[0]).toBe(`${liveRows[0] ?? ''}  933 MiB`);
    clock.ms += 200;
    reporter.epochEnd(epochEnd);
    expect(screenOf(output.text)[0]).toBe(`${liveEpochRows[0] ?? ''}  933 MiB`);
    const pipe = setUp(false, { memory: 1.5 * 2 ** 30 });
    pipe.reporter.epochEnd(epochEnd);
    expect(pipe.output.text).toContain('learning rate 0.0987  1.50 GiB  classification');
  });

  it('redraws at most ten times a second', () => {
    const { reporter, output, clock } = setUp(true);
    for (let index = 0; index < 100; index += 1) {
      reporter.step(step);
      clock.ms += 10;
    }
    expect(output.text.split('epoch 3/40')).toHaveLength(11);
  });

  it('spreads over more rows where one is too narrow, with a shorter bar, and clears them all', () => {
    const { reporter, output, clock } = setUp(true, { columns: 40 });
    reporter.step(step);
    const rows = screenOf(output.text);
    expect(rows).toEqual([
      'epoch 3/40 [==>     ] 12/31',
      '1,234 images/s  2 min 10 s left',
      'classification 1.235  vcl 4.800',
      'softVcl 0.0123  softIcl 0',
    ]);
    clock.ms += 200;
    reporter.step({ ...step, terms: {} });
    expect(screenOf(output.text)).toEqual(rows.slice(0, 2));
  });

  it('takes away what a terminal that was made narrower has broken into more rows', () => {
    const { reporter, output, clock } = setUp(true, { columns: 80 });
    reporter.step(step);
    output.columns = 30;
    output.text = '';
    clock.ms += 200;
    reporter.step(step);
    // 76 and 58 columns have become three rows and two.
    expect(output.text.startsWith('\r\u001B[4A\u001B[J')).toBe(true);
  });

  it('shows no more rows than the terminal has, since those above could not be taken away', () => {
    const { reporter, output } = setUp(true, { columns: 40 });
    output.rows = 3;
    reporter.step(step);
    expect(screenOf(output.text)).toHaveLength(2);
  });

  it('takes 80 columns where the terminal does not know its size and says 0', () => {
    const { reporter, output } = setUp(true, { columns: 0 });
    reporter.step(step);
    expect(Math.max(...screenOf(output.text).map((row) => row.length))).toBeGreaterThan(60);
  });

  it('colours the bar, unless NO_COLOR is set', () => {
    const coloured = setUp(true);
    coloured.reporter.step(step);
    expect(coloured.output.text).toContain('[\u001B[32m========>\u001B[39m               ] 12/31');
    const plain = setUp(true, { variables: { NO_COLOR: '1' } });
    plain.reporter.step(step);
    expect(plain.output.text).toBe(liveRows.join('\n'));
  });

  it('puts messages above the live display', () => {
    const { reporter, output } = setUp(true);
    reporter.step(step);
    reporter.message('Checkpoint written.');
    expect(screenOf(output.text)).toEqual(['Checkpoint written.', ...liveRows]);
    reporter.close();
    reporter.message('Done.');
    expect(screenOf(output.text)).toEqual(['Checkpoint written.', ...liveRows, 'Done.', '']);
  });

  it('leaves the last epoch on the screen', () => {
    const { reporter, output } = setUp(true);
    reporter.epochEnd({ ...epochEnd, epoch: 40 });
    reporter.close();
    expect(output.text.endsWith('resnet8-2 85.9%\n')).toBe(true);
  });

  it.each([{ CI: 'true' }, { CI: '1' }, { TERM: 'dumb' }])('writes plain lines with %j', (variables) => {
    const { reporter, output } = setUp(true, { variables });
    reporter.step(step);
    reporter.epochEnd(epochEnd);
    expect(output.text).toBe(`${epochLine}  ${accuracy}\n`);
  });

  it('takes CI=false for a terminal', () => {
    const { reporter, output } = setUp(true, { variables: { CI: 'false' } });
    reporter.step(step);
    expect(screenOf(output.text)).toEqual(liveRows);
  });
});

describe('warnings', () => {
  it('go to their own stream, in colour where a terminal has not refused it', () => {
    const coloured = setUp(true);
    coloured.reporter.warning('collapsed');
    expect(coloured.warnings.text).toBe('\u001B[33mwarning:\u001B[39m collapsed\n');
    for (const plain of [setUp(true, { variables: { NO_COLOR: '1' } }), setUp(false)]) {
      plain.reporter.warning('collapsed');
      expect(plain.warnings.text).toBe('warning: collapsed\n');
    }
  });

  it('are all that is shown when quiet', () => {
    for (const isTTY of [true, false]) {
      const { reporter, output, warnings, clock } = setUp(isTTY, { quiet: true });
      reporter.message('hello');
      reporter.step(step);
      clock.ms += 20_000;
      reporter.step(step);
      reporter.epochEnd(epochEnd);
      reporter.warning('collapsed');
      reporter.close();
      expect(output.text).toBe('');
      expect(warnings.text).toContain('collapsed');
    }
  });
});

it('the silent reporter takes everything and says nothing', () => {
  const reporter = new SilentReporter();
  expect(() => {
    reporter.message();
    reporter.warning();
    reporter.epochStart();
    reporter.step();
    reporter.epochEnd();
  }).not.toThrow();
});
