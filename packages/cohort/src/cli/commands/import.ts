/** `cohort import`: weights from PyTorch or safetensors files, for a recipe's `networks.N.weights`. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { ImportResult } from '../../cohort/importWeights.ts';
import type { TaskImportResult } from '../../transfer/training/importTaskWeights.ts';
import { shellCommand } from '../../support/shellCommand.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';
import { wholeNumber } from '../wholeNumber.ts';

interface Rule {
  readonly from: string;
  readonly to: string;
}

interface ImportCommandOptions extends CommonOptions {
  readonly model?: string;
  readonly classes?: number;
  readonly classNames?: string;
  readonly map: readonly Rule[];
  readonly key?: string;
  readonly output?: string;
  readonly force?: true;
}

/** Adds the command. */
export function addImportCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withCommonOptions(program.command('import'))
    .description(
      'convert PyTorch (.pt, .pth, .pth.tar) or safetensors weights of classifiers, segmenters and detectors for recipes',
    )
    .argument('<file>', 'weights file or run folder; code in it is never executed')
    .option('--model <name>', 'architecture of the weights (default: the one that fits)')
    .option(
      '--classes <count>',
      'number of classes; if it differs from the file, the classifier is new',
      wholeNumber(2, 999_999),
    )
    .option('--class-names <file>', 'file of class names, one per line or a JSON list')
    .option(
      '--map <old=new>',
      'rename a tensor or a name prefix that ends at a dot (repeatable)',
      addRule,
      [],
    )
    .option('--key <keys>', 'which dictionary in the file, as dotted keys: model.state_dict')
    .option('--output <file>', 'safetensors file to write (default: named after the source, in this folder)')
    .option('--force', 'overwrite an existing output file')
    .action(async (path: string, options: ImportCommandOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const { model, classes, classNames: classNamesPath, map: rules, key, output, force } = options;
        const result = await environment.actions.importWeights(path, {
          model,
          classes,
          classNamesPath,
          rules,
          key,
          output,
          force: force === true,
        });
        return { text: describeResult(result), json: result };
      });
      setExitCode(exitCode);
    });
}

function addRule(text: string, before: readonly Rule[]): Rule[] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Expected old=new; leave new empty to remove a prefix.');
  return [...before, { from: text.slice(0, at), to: text.slice(at + 1) }];
}

/** Of a segmenter or detector, with the settings that a recipe needs to use it. */
function describeTask(result: TaskImportResult): string {
  const { output, format, model, task, classes, parameters, renamed } = result;
  const settings = Object.entries(task)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `task.${key}=${String(value)}`);
  const networks = [`networks.0.model=${model}`, `networks.0.weights=${output}`];
  return [
    `read ${task.head} (${format})${renamed === 0 ? '' : `; ${renamed} tensors renamed`}`,
    `wrote ${output}: ${task.name}, ${task.head} on ${model}, ${classes} classes, ${parameters.toLocaleString('en-US')} parameters`,
    `use it in a recipe: ${shellCommand([...networks, ...settings])}`,
  ].join('\n');
}

function describeResult(result: ImportResult | TaskImportResult): string {
  if ('task' in result) return describeTask(result);
  const { output, model, classes, channels, parameters, place, format, renamed, ignored, whyFresh } = result;
  const { skipped, isReordered, unusableNames, namesNote } = result;
  const count = parameters.toLocaleString('en-US');
  return [
    `read ${place} (${format})${renamed === 0 ? '' : `; ${renamed} tensors renamed`}`,
    ...(ignored.length === 0 ? [] : [`ignored, because ${model} has no such parts: ${ignored.join(', ')}`]),
    ...(skipped.length === 0
      ? []
      : [
          `skipped, and not executed: ${skipped.length > 8 ? `${skipped.slice(0, 8).join(', ')}, …` : skipped.join(', ')}`,
        ]),
    whyFresh === null
      ? `classifier: kept${isReordered ? ', its rows put into the order of the class names' : ''}`
      : `classifier: new, since ${whyFresh}`,
    ...(namesNote === null ? [] : [`class names: ${namesNote}`]),
    ...(unusableNames === null
      ? []
      : [
          `class names: ${unusableNames} in the file, which do not fit its classifier and were not used; give them with --class-names`,
        ]),
    `wrote ${output}: ${model}, ${classes} classes, ${channels} input ${channels === 1 ? 'channel' : 'channels'}, ${count} parameters`,
    `use it in a recipe: ${shellCommand([`networks.0.model=${model}`, `networks.0.weights=${output}`])}`,
  ].join('\n');
}
