/** What `cohort compare` and `cohort ablate` have in common: their options, read into a request, and how the result is shown. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ComparisonRequest } from '../compare/compare.ts';
import { CompareError } from '../compare/errors.ts';
import type { ComparisonResult, ReportTargets } from '../compare/report/reportComparison.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';
import { shellCommand } from '../support/shellCommand.ts';
import { runCommand, TRAINING, withCommonOptions } from './command.ts';
import type { CommandOutcome, CommonOptions } from './command.ts';
import type { CallOptions } from './contracts.ts';
import type { CliEnvironment } from './environment.ts';
import { EXIT_CODES } from './failures.ts';
import { isImageSource, surveyFor } from './recipeArgument.ts';
import { wholeNumber } from './wholeNumber.ts';

/** Options of both commands. */
export interface ComparisonOptions extends CommonOptions, ReportTargets {
  readonly seeds: number;
  readonly seedList?: readonly number[];
  readonly set: readonly string[];
  readonly parallel: number;
  readonly select: 'last' | 'best-validation';
  readonly name?: string;
  readonly known: readonly string[];
  readonly reportOnly?: true;
}

/** Adds them. */
export function withComparisonOptions(command: Command): Command {
  return withCommonOptions(command)
    .option('--seeds <n>', 'train with seeds 1 to N', wholeNumber(1, 1000), 3)
    .addOption(
      new Option('--seed-list <seeds>', 'train with these seeds instead (comma-separated)')
        .argParser(parseSeeds)
        .conflicts('seeds'),
    )
    .option('--set <key=value>', 'change a setting for all methods (repeatable)', collect, [])
    .option('--parallel <n>', 'train this many at a time, sharing the threads', wholeNumber(1, 1000), 1)
    .addOption(
      new Option('--select <epoch>', 'which epoch to report')
        .choices(['last', 'best-validation'])
        .default('last'),
    )
    .option('--name <name>', 'folder name inside the runs folder (default: after the recipe)')
    .option(
      '--known <archive>',
      'count the trainings of this archive as done, e.g. from another machine; repeatable',
      collect,
      [],
    )
    .option('--archive <file>', 'also write the data behind the report to one small JSON file')
    .option('--out <folder>', 'folder for the report (default: report in the comparison folder)')
    .option('--report-only', 'train nothing; rebuild the report from a folder or an archive');
}

/** Options that go with `--report-only`; the others would change what was trained. */
const REPORT_OPTIONS: readonly string[] = ['reportOnly', 'baseline', 'archive', 'out', 'json', 'quiet'];

/** @throws {CompareError} where a report is to be made of what is there, and options ask for something else */
function assertReportOptions(command: Command): void {
  const others = command.options.filter(
    (option) =>
      !REPORT_OPTIONS.includes(option.attributeName()) &&
      command.getOptionValueSource(option.attributeName()) === 'cli',
  );
  if (others.length === 0) return;
  throw new CompareError(
    'rebuilding the report',
    `no options besides ${REPORT_OPTIONS.slice(1).map(flagOf).join(', ')}, since --report-only changes nothing that was trained`,
    others.map(({ long }) => long ?? '').join(', '),
    'Omit them, or omit --report-only to train.',
  );
}

function flagOf(name: string): string {
  return `--${name}`;
}

/** @throws {CompareError} for the folder or archive of a comparison where a recipe is meant: its report would be lost */
function assertNoComparison(argument: string): void {
  const isFolder = existsSync(join(argument, 'comparison.json'));
  const isFile = argument.endsWith('.json') && existsSync(argument);
  if (!isFolder && !isFile) return;
  throw new CompareError(
    'reading what to compare',
    'a recipe by name or path, or a folder of images',
    `${argument}, ${isFolder ? 'the folder of a comparison' : 'an archive or another JSON file'}`,
    'Add --report-only to rebuild its report; to continue training, repeat the command that created it.',
  );
}

/** Runs a comparison, or reports on a folder, as the options say. */
export async function runComparisonCommand(
  argument: string,
  options: ComparisonOptions,
  environment: CliEnvironment,
  { argv, command }: { readonly argv: readonly string[]; readonly command: Command },
  more: Pick<ComparisonRequest, 'methods' | 'settings' | 'baseline' | 'fractions' | 'skipUnfit'>,
): Promise<number> {
  return runCommand(
    environment,
    options,
    async (call) => {
      const { out, archive } = options;
      const targets = {
        ...(out === undefined ? {} : { out }),
        ...(archive === undefined ? {} : { archive }),
      };
      if (options.reportOnly === true) {
        assertReportOptions(command);
        const { baseline } = more;
        const how = { ...call, ...targets, ...(baseline === undefined ? {} : { baseline }) };
        return outcomeOf(await environment.actions.reportComparison(argument, how));
      }
      assertNoComparison(argument);
      const { seeds, seedList, set, parallel, select, name, known } = options;
      const result = await environment.actions.compare(
        {
          set,
          parallel,
          select,
          ...more,
          ...targets,
          ...(name === undefined ? {} : { name }),
          known,
          resolve: await resolverOf(argument, set, environment, call),
          seeds: seedList ?? Array.from({ length: seeds }, (_, index) => index + 1),
          command: shellCommand(['cohort', ...argv]),
        },
        call,
      );
      return outcomeOf(result);
    },
    TRAINING,
  );
}

async function outcomeOf({ status, folder, report, files }: ComparisonResult): Promise<CommandOutcome> {
  const { comparisonText } = await import('./comparisonText.ts');
  const ending =
    status === 'interrupted' ? 'stopped; run the same command to continue' : `report: ${files.join(', ')}`;
  const hasTrouble = report.failures.length > 0;
  return {
    text: `${report.methods.length === 0 ? 'no training has finished' : comparisonText(report)}\n\n${ending}`,
    json: { status, folder, files, report },
    exitCode:
      status === 'interrupted' ? EXIT_CODES.interrupted : hasTrouble ? EXIT_CODES.failure : EXIT_CODES.ok,
  };
}

/** A recipe by name or path is read once for every change; so is the survey of a folder of images. */
async function resolverOf(
  argument: string,
  settings: readonly string[],
  environment: CliEnvironment,
  call: CallOptions,
): Promise<(overrides: readonly string[]) => ResolvedRecipe> {
  const { recipesFolder } = environment;
  if (existsSync(argument) && isImageSource(argument, recipesFolder)) {
    const survey = await surveyFor(argument, settings, environment, call);
    const { proposeRecipe } = await import('../recipes/propose.ts');
    return (overrides) => proposeRecipe(survey, overrides).recipe;
  }
  const { loadRecipe } = await import('../recipes/load.ts');
  return (overrides) => loadRecipe(argument, overrides, { recipesFolder });
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

function parseSeeds(text: string): readonly number[] {
  const seeds = text.split(',').map((word) => (/^\d{1,10}$/.test(word.trim()) ? Number(word) : NaN));
  if (seeds.some(Number.isNaN) || new Set(seeds).size < seeds.length) {
    throw new InvalidArgumentError('Expected distinct whole numbers separated by commas, such as 1,2,5.');
  }
  return seeds;
}

/** Shares above 0 and at most 1, in rising order. */
export function parseFractions(text: string): readonly number[] {
  const fractions = text.split(',').map((word) => (word.trim() === '' ? NaN : Number(word)));
  if (fractions.some((share) => !(share > 0 && share <= 1)) || new Set(fractions).size < fractions.length) {
    throw new InvalidArgumentError(
      'Expected distinct shares above 0 and at most 1, separated by commas, such as 0.1,0.5,1.',
    );
  }
  return fractions.toSorted((left, right) => left - right);
}

/** One name or more, with commas between. */
export function parseNames(text: string): readonly string[] {
  const names = text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  if (names.length > 0) return names;
  throw new InvalidArgumentError('Expected names separated by commas, such as independent,dml,mcl.');
}
