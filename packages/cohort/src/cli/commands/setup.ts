/** `cohort setup`: builds the engine of an installed package, once per machine. */
import type { Command } from 'commander';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';

/** Adds the command. */
export function addSetupCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withCommonOptions(program.command('setup'))
    .description('find LibTorch and build the engine; happens by itself when the engine is first used')
    .option('--force', 'build it again')
    .action(async (options: CommonOptions & { readonly force?: true }) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        const { actions } = environment;
        const result = await actions.setUpEngine({ ...call, force: options.force === true });
        const text = `Ready: LibTorch ${result.libtorch}, engine ${result.addon}`;
        return { text, json: result };
      });
      setExitCode(exitCode);
    });
}
