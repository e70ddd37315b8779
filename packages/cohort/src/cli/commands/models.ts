/** `cohort models`: every architecture that a recipe may name, with what it costs. */
import type { Command } from 'commander';
import type { ModelDescription } from '../../models/index.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';
import { formatTable } from '../table.ts';

/** Adds the command. */
export function addModelsCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withCommonOptions(program.command('models'))
    .description('list the architectures with parameters, multiply-adds, input size and paper')
    .action(async (options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const models = await environment.actions.describeModels();
        return { text: describeTable(models), json: { models } };
      });
      setExitCode(exitCode);
    });
}

function describeTable(models: readonly ModelDescription[]): string {
  const rows = models.map(({ name, parameters, multiplyAdds, inputShape, classes, paper }) => [
    name,
    inMillions(parameters, 2),
    inMillions(multiplyAdds, 1),
    inputShape.join('x'),
    `${classes}`,
    paper,
  ]);
  const heading = ['model', 'parameters (M)', 'multiply-adds (M)', 'input', 'classes', 'paper'];
  return `${formatTable(heading, rows)}\nOther input sizes, channels and class counts work too; multiply-adds are of convolutions and linear layers.`;
}

function inMillions(value: number, digits: number): string {
  return (value / 1e6).toFixed(digits);
}
