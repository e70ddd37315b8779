/** `cohort runs rename` and `rm`: the only commands that change runs, and never one that a process is writing. */
import { dirname } from 'node:path';
import type { Command } from 'commander';
import type { RunDetails } from '@cohort-ml/runs';
import { runCommand, withCommonOptions, type CommonOptions } from '../../command.ts';
import type { CliEnvironment } from '../../environment.ts';
import { EXIT_CODES } from '../../failures.ts';
import { findRun, openSyncedStore, withRunsFolder, type RunsOptions } from './options.ts';
import { namesOf } from './text.ts';

/** Adds `runs rename`. */
export function addRunsRenameCommand(
  runs: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(runs.command('rename')))
    .description('rename a run; its folder stays where it is')
    .argument('<run>', 'run folder: its name, a unique prefix, or a path')
    .argument('<name>', 'the new name')
    .action(async (run: string, name: string, options: CommonOptions & RunsOptions) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        const { renameRun } = await import('@cohort-ml/runs');
        const { store, details } = await findRun(run, options, call);
        try {
          renameRun(details.path, name);
          store.ingest(details.folder);
        } finally {
          store.close();
        }
        const { folder, path } = details;
        return {
          text: `${folder} is now called ${name}`,
          json: { folder, path, before: details.name, name },
        };
      });
      setExitCode(exitCode);
    });
}

/** Adds `runs rm`. */
export function addRunsRemoveCommand(
  runs: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(runs.command('rm').alias('delete')))
    .description('delete runs and their checkpoints, after asking; refuses runs that are being written')
    .argument('<runs...>', 'run folders: names, unique prefixes, or paths')
    .option('--yes', 'do not ask; required when nobody can be asked')
    .action(async (names: string[], options: CommonOptions & RunsOptions & { yes?: true }) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        const { removeRun, refuseLive, RunError } = await import('@cohort-ml/runs');
        const found: RunDetails[] = [];
        for (const name of names) {
          const { store, details } = await findRun(name, options, call);
          store.close();
          // Before anything is deleted or asked, so that it is all or nothing.
          refuseLive(details.path, 'delete the run');
          if (found.every(({ path }) => path !== details.path)) found.push(details);
        }
        if (options.yes !== true) {
          if (environment.ask === null || options.json === true) {
            throw new RunError(
              'invalid',
              options.runs,
              `cannot delete ${namesOf(found)}: it needs confirmation, and nobody can be asked here`,
              { remedy: 'Add --yes.' },
            );
          }
          const answer = await environment.ask(`delete ${namesOf(found)} permanently? [y/N] `);
          if (!/^y(es)?$/i.test(answer.trim())) {
            return { text: 'nothing was deleted', json: { deleted: [] }, exitCode: EXIT_CODES.failure };
          }
        }
        for (const { path } of found) removeRun(path);
        // The next look at the folders would find out too, but lists should be right at once.
        for (const root of new Set(found.map(({ path }) => dirname(path)))) {
          (await openSyncedStore({ runs: root }, call)).close();
        }
        const deleted = found.map(({ path }) => path);
        return { text: `deleted ${namesOf(found)}`, json: { deleted } };
      });
      setExitCode(exitCode);
    });
}
