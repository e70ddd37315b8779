/** `cohort weights`: trained networks that come with Cohort, as starting points for training. */
import type { Command } from 'commander';
import { OFFERED_PREFIX, type OfferedWeights } from '../../weights/offered.ts';
import { formatPercent } from '../../progress/progressText.ts';
import { runCommand, withCommonOptions, type CommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';
import { formatTable } from '../table.ts';

interface FetchFlags extends CommonOptions {
  readonly output?: string;
  readonly force?: true;
}

/** Adds the commands. */
export function addWeightsCommands(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  const weights = program.command('weights').description('trained networks to start from');
  weights.helpCommand(false);
  withCommonOptions(weights.command('list', { isDefault: true }))
    .description('list the networks that come with Cohort, with their measured accuracy')
    .action(async (options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const { listOffered } = await import('../../weights/offered.ts');
        const offered = listOffered();
        return { text: describeList(offered), json: { weights: offered } };
      });
      setExitCode(exitCode);
    });
  withCommonOptions(weights.command('show'))
    .description('show how a network was trained, what it reached and how to start from it')
    .argument('<name>', 'name of the weights (see cohort weights list)')
    .action(async (name: string, options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const { findOffered } = await import('../../weights/offered.ts');
        const found = findOffered(name);
        return { text: describeOne(found), json: found };
      });
      setExitCode(exitCode);
    });
  withCommonOptions(weights.command('fetch'))
    .description('copy the weights to a safetensors file, for programs other than Cohort')
    .argument('<name>', 'name of the weights (see cohort weights list)')
    .option('--output <file>', 'file to write (default: NAME.safetensors in the current folder)')
    .option('--force', 'replace the file if it is there')
    .action(async (name: string, flags: FetchFlags) => {
      const exitCode = await runCommand(environment, flags, async () => {
        const { copyOffered } = await import('../../weights/copyOffered.ts');
        const { output, force = false } = flags;
        const written = copyOffered(name, { ...(output === undefined ? {} : { output }), force });
        return { text: `wrote ${written.output}`, json: written };
      });
      setExitCode(exitCode);
    });
}

function describeList(offered: readonly OfferedWeights[]): string {
  const rows = offered.map(({ name, model, data, accuracy, parameters, bytes }) => [
    name,
    model,
    data,
    formatPercent(accuracy.value),
    parameters.toLocaleString('en-US'),
    `${Math.round(bytes / 1000).toLocaleString('en-US')} kB`,
  ]);
  const table = formatTable(['name', 'model', 'trained on', 'accuracy', 'parameters', 'size'], rows, 3);
  const [first] = offered;
  const hint =
    first === undefined
      ? ''
      : `\n\nStart from one: cohort train ./photos networks.0.model=${first.model} networks.0.weights=${OFFERED_PREFIX}${first.name}`;
  return `${table}${hint}`;
}

function describeOne(given: OfferedWeights): string {
  const facts: readonly (readonly [string, string])[] = [
    ['model', `${given.model}, ${given.parameters.toLocaleString('en-US')} parameters`],
    ['trained on', `${given.data}, ${given.size} x ${given.size} pixels, ${given.classes} classes`],
    ['by', given.training],
    ['accuracy', `${formatPercent(given.accuracy.value)} of ${given.accuracy.testImages}`],
    ['trained alone', formatPercent(given.independentAccuracy)],
    ['command', given.command],
    ['date', given.date],
    ['licence', given.licence],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
  return [
    given.name,
    ...lines,
    '',
    `In a recipe: networks: [{ model: ${given.model}, weights: '${OFFERED_PREFIX}${given.name}' }, ...]`,
  ].join('\n');
}
