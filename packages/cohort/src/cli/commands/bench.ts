/** `cohort bench`: how fast training, evaluation, losses and data are here, compared with PyTorch and ONNX Runtime where they are installed. */
import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { BenchTask } from '../benchmark.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';
import { EXIT_CODES, UsageError } from '../failures.ts';
import { formatTable } from '../table.ts';
import { wholeNumber } from '../wholeNumber.ts';

interface BenchCommandOptions extends CommonOptions {
  readonly list?: true;
  readonly only?: readonly string[];
  readonly rounds: number;
  readonly threads?: number;
  readonly device?: string;
  readonly out?: string;
  readonly check?: true;
  readonly profile?: true;
  readonly pytorch: boolean;
  readonly reference?: readonly string[];
  readonly compile?: true;
}

/** Adds the command. */
export function addBenchCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withCommonOptions(program.command('bench'))
    .description(
      'time steps, losses, evaluation and data loading, alternating with PyTorch and ONNX Runtime if installed',
    )
    .option('--list', 'list the cases and measure nothing')
    .option('--only <names>', 'cases by name or prefix: mcl,losses-2x1', parseNames)
    .option('--rounds <count>', 'maximum number of rounds per program', wholeNumber(1, 9999), 6)
    .option('--threads <count>', 'threads per program (default: one per core)', parseThreads)
    .option('--device <name>', 'device of both sides: cpu (default), cuda or cuda:N (not yet run on a GPU)')
    .option('--out <folder>', 'write results to this folder, as JSON and Markdown')
    .addOption(
      new Option(
        '--check',
        'compare what both sides compute from the same weights, without timing',
      ).conflicts('profile'),
    )
    .option('--profile', "show where our training steps' time goes, by part and operator")
    .option('--no-pytorch', 'measure only Cohort')
    .option(
      '--reference <python>',
      'Python whose PyTorch to compare with; may be given several times (default: the one that is found)',
      collect,
    )
    .option('--compile', 'measure PyTorch under torch.compile too, where it can')
    .action(async (options: BenchCommandOptions) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        if (options.list === true) {
          const cases = await environment.actions.listBenchCases(options.only ?? []);
          const rows = cases.map(({ name, title }) => [name, title]);
          return { text: listOf(rows), json: { cases: cases.map(({ name, title }) => ({ name, title })) } };
        }
        const { only, rounds, threads, device, out, pytorch, reference, compile } = options;
        if (!pytorch && (reference !== undefined || compile === true)) {
          throw new UsageError(
            '--no-pytorch leaves out what --reference and --compile are about. Use one or the other.',
          );
        }
        const { result, text, files, isGood } = await environment.actions.benchmark(taskOf(options), {
          ...call,
          variables: environment.variables,
          ...(only === undefined ? {} : { only }),
          ...(threads === undefined ? {} : { threads }),
          ...(device === undefined ? {} : { device }),
          ...(out === undefined ? {} : { out }),
          rounds,
          ...(reference === undefined ? {} : { references: reference }),
          ...(compile === true ? { compiles: true } : {}),
          comparesWithPyTorch: pytorch,
        });
        const written = files.length === 0 ? '' : `\n\nwritten: ${files.join(', ')}`;
        const isInterrupted = 'status' in result && result.status === 'interrupted';
        return {
          text: `${text}${written}`,
          json: { ...result, files },
          exitCode: isInterrupted ? EXIT_CODES.interrupted : isGood ? EXIT_CODES.ok : EXIT_CODES.failure,
        };
      });
      setExitCode(exitCode);
    });
}

function collect(python: string, before?: readonly string[]): string[] {
  return [...(before ?? []), python];
}

function taskOf({ check, profile }: BenchCommandOptions): BenchTask {
  if (check === true) return 'check';
  return profile === true ? 'profile' : 'measure';
}

/** The title is words, which read better flush left. */
function listOf(rows: readonly (readonly string[])[]): string {
  const width = Math.max(0, ...rows.map(([, title = '']) => title.length));
  return formatTable(
    ['case', 'what is measured'.padEnd(width)],
    rows.map(([name = '', title = '']) => [name, title.padEnd(width)]),
  );
}

function parseNames(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('Expected names separated by commas.');
  return names;
}

function parseThreads(text: string): number {
  const count = wholeNumber(1, 9999)(text);
  const cores = availableParallelism();
  if (count > cores)
    throw new InvalidArgumentError(`Expected 1 to ${cores}, which is how many cores there are.`);
  return count;
}
