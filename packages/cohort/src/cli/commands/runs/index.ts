/** `cohort runs`: list, show, rename, delete and export runs, through the store that is kept over their folders. */
import type { Command } from 'commander';
import type { CliEnvironment } from '../../environment.ts';
import { addRunsRemoveCommand, addRunsRenameCommand } from './change.ts';
import { addRunsExportCommand } from './export.ts';
import { addRunsListCommand, addRunsShowCommand } from './list.ts';

/** Adds the commands. */
export function addRunsCommands(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  const runs = program
    .command('runs')
    .description('list, show, rename, delete and export runs')
    .helpCommand(false);
  addRunsListCommand(runs, environment, setExitCode);
  addRunsShowCommand(runs, environment, setExitCode);
  addRunsRenameCommand(runs, environment, setExitCode);
  addRunsRemoveCommand(runs, environment, setExitCode);
  addRunsExportCommand(runs, environment, setExitCode);
}
