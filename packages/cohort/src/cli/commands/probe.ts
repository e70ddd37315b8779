/** `cohort probe`: what the features of runs are worth on other images, by frozen probes and by fine-tuning. */
import { InvalidArgumentError, type Command } from 'commander';
import { shellCommand } from '../../support/shellCommand.ts';
import type { ProbeRequest, ProbeSettings, ProbeTargets } from '../../transfer/probeRuns.ts';
import { PROBE_DEFAULTS, PROBES, type ProbeName } from '../../transfer/probes/settings.ts';
import { runCommand, withCommonOptions, type CommandOutcome, type CommonOptions } from '../command.ts';
import type { CallOptions } from '../contracts.ts';
import type { CliEnvironment } from '../environment.ts';
import { UsageError } from '../failures.ts';
import { withRunsFolder, type RunsOptions } from './runs/options.ts';
import { wholeNumber } from '../wholeNumber.ts';

interface ProbeFlags extends CommonOptions, RunsOptions, ProbeTargets, Partial<ProbeSettings> {
  readonly data?: string;
  readonly dataPath?: string;
  readonly trainImages?: number;
  readonly testImages?: number;
  readonly validationImages?: number;
  readonly checkpoint?: string;
  readonly baseline?: string;
  /** False with `--no-cache`. */
  readonly cache: boolean;
  readonly reportOnly?: true;
}

/** Adds the command. */
export function addProbeCommand(
  program: Command,
  environment: CliEnvironment,
  argv: readonly string[],
  setExitCode: (code: number) => void,
): void {
  const { by, shots, seeds, neighbours, temperature, epochs, learningRates, batchSize } = PROBE_DEFAULTS;
  withRunsFolder(withCommonOptions(program.command('probe')))
    .description('measure what the features of runs are worth on other images, compared with random weights')
    .argument('<runs...>', 'names of run folders, their beginnings, or paths; with --report-only an archive')
    .option('--data <source>', 'images to probe on: the name of a dataset, or a folder or table of images')
    .option('--data-path <folder>', "where a named dataset's files are (left out: its usual places)")
    .option('--by <probes>', `any of ${PROBES.join(', ')} (left out: ${by.join(',')})`, parseProbes)
    .option(
      '--stage <stage>',
      'features of which stage: last, 1, 2, ..., or all (left out: last)',
      parseStage,
    )
    .option(
      '--size <pixels>',
      "side that images are brought to (left out: the run's own)",
      wholeNumber(8, 4096),
    )
    .option('--shots <counts>', `few-shot: images of each class (left out: ${shots.join(',')})`, parseCounts)
    .option('--seeds <n>', `few-shot and fine-tune: draws, and seeds (left out: ${seeds})`, wholeNumber(1))
    .option(
      '--penalties <values>',
      'linear: penalties to try (left out: half decades from 1e-6 to 10)',
      parsePositives,
    )
    .option(
      '--neighbours <counts>',
      `neighbours: values of k to try (left out: ${neighbours.join(',')})`,
      parseCounts,
    )
    .option(
      '--temperature <value>',
      `neighbours: votes count exp(similarity / T) (left out: ${temperature})`,
      parsePositive,
    )
    .option('--epochs <n>', `fine-tune: epochs of each training (left out: ${epochs})`, wholeNumber(1))
    .option(
      '--learning-rates <values>',
      `fine-tune: rates to try (left out: ${learningRates.join(',')})`,
      parsePositives,
    )
    .option('--batch-size <n>', `fine-tune: images in a step (left out: ${batchSize})`, wholeNumber(1))
    .option('--train-images <n>', 'only a stratified subset of the training images', wholeNumber(1))
    .option('--test-images <n>', 'only a stratified subset of the test images', wholeNumber(1))
    .option(
      '--validation-images <n>',
      'training images to choose settings by: number, or share (left out: 0.1)',
      parsePositive,
    )
    .option('--checkpoint <name>', 'checkpoint of every run: its name, last or best (left out: last)')
    .option('--baseline <method>', 'what differences are to (left out: independent, or else random weights)')
    .option('--no-cache', 'extract features anew, and keep none')
    .option('--archive <file>', 'write what the report is made from to one JSON file')
    .option('--out <folder>', 'folder for the report as Markdown, CSV and JSON (left out: not written)')
    .option('--report-only', 'measure nothing: make the report again from an archive')
    .action(async (runs: string[], options: ProbeFlags, command: Command) => {
      const exitCode = await runCommand(environment, options, (call) =>
        options.reportOnly === true
          ? reportAgain(runs, options, environment, command)
          : probe(runs, options, environment, argv, call),
      );
      setExitCode(exitCode);
    });
}

async function probe(
  runs: readonly string[],
  options: ProbeFlags,
  environment: CliEnvironment,
  argv: readonly string[],
  call: CallOptions,
): Promise<CommandOutcome> {
  const { data, dataPath, trainImages, testImages, validationImages, checkpoint, baseline, cache } = options;
  if (data === undefined) {
    throw new UsageError(
      'There is nothing to probe on. Add --data with the name of a dataset or a folder of images.',
    );
  }
  const request: ProbeRequest = {
    ...{ runs, runsFolder: options.runs, settings: settingsOf(options), ...targetsOf(options) },
    data: {
      source: data,
      ...(dataPath === undefined ? {} : { path: dataPath }),
      ...(trainImages === undefined ? {} : { trainImages }),
      ...(testImages === undefined ? {} : { testImages }),
      ...(validationImages === undefined ? {} : { validationImages }),
    },
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(baseline === undefined ? {} : { baseline }),
    ...(cache ? {} : { cache: null }),
    command: shellCommand(['cohort', ...argv]),
  };
  return outcomeOf(await environment.actions.probeRuns(request, call));
}

async function reportAgain(
  [archive = '', ...others]: readonly string[],
  options: ProbeFlags,
  environment: CliEnvironment,
  command: Command,
): Promise<CommandOutcome> {
  const allowed = ['reportOnly', 'baseline', 'archive', 'out', 'json', 'quiet'];
  const wrong = command.options.filter((option) => {
    const name = option.attributeName();
    return !allowed.includes(name) && command.getOptionValueSource(name) === 'cli';
  });
  if (others.length > 0 || wrong.length > 0) {
    const what = others.length > 0 ? 'several files' : wrong.map(({ long }) => long ?? '').join(', ');
    throw new UsageError(
      `--report-only takes one archive as it is, and cannot be combined with ${what}. Leave out what does not concern the report.`,
    );
  }
  const { baseline } = options;
  return outcomeOf(
    await environment.actions.reportProbes(archive, {
      ...targetsOf(options),
      ...(baseline === undefined ? {} : { baseline }),
    }),
  );
}

async function outcomeOf({
  report,
  files,
}: Awaited<ReturnType<CliEnvironment['actions']['probeRuns']>>): Promise<CommandOutcome> {
  const { probeText } = await import('../probeText.ts');
  const written = files.length === 0 ? '' : `\n\nwrote ${files.join(', ')}`;
  return { text: `${probeText(report)}${written}`, json: { files, report } };
}

function targetsOf({ out, archive }: ProbeFlags): ProbeTargets {
  return { ...(out === undefined ? {} : { out }), ...(archive === undefined ? {} : { archive }) };
}

/** Those that were given. */
function settingsOf(flags: ProbeFlags): Partial<ProbeSettings> {
  const { by, stage, size, shots, seeds, penalties, neighbours, temperature } = flags;
  const { epochs, learningRates, batchSize } = flags;
  const given = {
    by,
    stage,
    size,
    shots,
    seeds,
    penalties,
    neighbours,
    temperature,
    epochs,
    learningRates,
    batchSize,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function parseProbes(text: string): readonly ProbeName[] {
  const names = text.split(',').map((word) => word.trim());
  const known = names.flatMap((name) => PROBES.filter((probe) => probe === name));
  if (known.length === names.length && new Set(names).size === names.length) return known;
  throw new InvalidArgumentError(
    `Expected different names out of ${PROBES.join(', ')}, with commas between.`,
  );
}

function parseStage(text: string): ProbeSettings['stage'] {
  if (text === 'last' || text === 'all') return text;
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected last, all, or the number of a stage from 1.');
}

function parseCounts(text: string): readonly number[] {
  const counts = text.split(',').map((word) => (/^\s*\d{1,9}\s*$/.test(word) ? Number(word) : 0));
  if (counts.every((count) => count >= 1) && new Set(counts).size === counts.length) {
    return counts.toSorted((left, right) => left - right);
  }
  throw new InvalidArgumentError(
    'Expected different whole numbers from 1, with commas between, such as 1,5,10.',
  );
}

function parsePositive(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

function parsePositives(text: string): readonly number[] {
  const values = text.split(',').map((word) => (word.trim() === '' ? NaN : Number(word)));
  if (
    values.every((value) => value > 0 && Number.isFinite(value)) &&
    new Set(values).size === values.length
  ) {
    return values;
  }
  throw new InvalidArgumentError(
    'Expected different numbers above 0, with commas between, such as 0.1,0.01.',
  );
}
