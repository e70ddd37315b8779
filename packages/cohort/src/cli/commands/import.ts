/** `cohort import`: weights from PyTorch or safetensors files, for a recipe's `networks.N.weights`. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { ImportResult } from '../../cohort/importWeights.ts';
import { shellCommand } from '../../support/shellCommand.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';

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
      'turn weights of PyTorch (.pt, .pth, .pth.tar) or safetensors into a file that a recipe can start from',
    )
    .argument('<file>', 'path of a file of weights, or of a run folder; nothing in it is executed')
    .option('--model <name>', 'architecture that the weights are for; left out: the one that they fit')
    .option(
      '--classes <count>',
      'classes of the network; another number than the file has gives a new classifier',
      parseClasses,
    )
    .option('--class-names <file>', 'names of the classes, one a line or a JSON list')
    .option(
      '--map <old=new>',
      'rename a tensor, or the beginning of names up to a dot; may be repeated',
      addRule,
      [],
    )
    .option('--key <keys>', 'which dictionary of the file, as keys joined by dots: model.state_dict')
    .option('--output <file>', 'safetensors file to write; left out: named as the source, in this folder')
    .option('--force', 'replace the output if it is there')
    .action(async (path: string, options: ImportCommandOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const { model, classes, classNames: classNamesPath, map: rules, key, output, force } = options;
        const result = await environment.actions.importWeights(path, {
          ...{ model, classes, classNamesPath, rules, key, output },
          force: force === true,
        });
        return { text: describeResult(result), json: result };
      });
      setExitCode(exitCode);
    });
}

function parseClasses(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 2) throw new InvalidArgumentError('Expected a whole number of at least 2.');
  return count;
}

function addRule(text: string, before: readonly Rule[]): Rule[] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Expected old=new; new may be empty to take a prefix off.');
  return [...before, { from: text.slice(0, at), to: text.slice(at + 1) }];
}

function describeResult(result: ImportResult): string {
  const { output, model, classes, channels, parameters, place, format, renamed, ignored, whyFresh } = result;
  const { skipped, isReordered } = result;
  const count = parameters.toLocaleString('en-US');
  return [
    `read ${place} (${format})${renamed === 0 ? '' : `; ${renamed} tensors renamed`}`,
    ...(ignored.length === 0 ? [] : [`left out, since ${model} has no such parts: ${ignored.join(', ')}`]),
    ...(skipped.length === 0
      ? []
      : [
          `passed over, and not run: ${skipped.length > 8 ? `${skipped.slice(0, 8).join(', ')}, …` : skipped.join(', ')}`,
        ]),
    whyFresh === null
      ? `classifier: kept${isReordered ? ', its rows put into the order of the class names' : ''}`
      : `classifier: new, since ${whyFresh}`,
    `wrote ${output}: ${model}, ${classes} classes, ${channels} input ${channels === 1 ? 'channel' : 'channels'}, ${count} parameters`,
    `use it in a recipe: ${shellCommand([`networks.0.model=${model}`, `networks.0.weights=${output}`])}`,
  ].join('\n');
}
