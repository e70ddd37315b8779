/** `cohort data list`, `check` and `fetch`: which datasets there are, whether their files are sound, and how they get here. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { DatasetCheck } from '../../data/checkDataset.ts';
import type { FetchResult } from '../../data/fetch/fetchDataset.ts';
import type { DatasetListing } from '../../data/listDatasets.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';
import { shellCommand } from '../../support/shellCommand.ts';
import { EXIT_CODES } from '../failures.ts';
import type { ScenesResult } from '../../transfer/scenes/make.ts';
import { isFolderOrTable } from '../recipeArgument.ts';
import { formatTable } from '../table.ts';
import { wholeNumber } from '../wholeNumber.ts';

/** Option of `cohort data check`. */
interface LinkOptions {
  readonly followLinks?: true;
}

/** Adds the commands. */
export function addDataCommands(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  const data = program.command('data').description('list, check and fetch datasets').helpCommand(false);
  withCommonOptions(data.command('list'))
    .description('list datasets: classes, images, size, licence, and where their files are')
    .action(async (options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const datasets = await environment.actions.listDatasets();
        return { text: describeList(datasets), json: { datasets } };
      });
      setExitCode(exitCode);
    });
  withCommonOptions(data.command('check'))
    .description('load a dataset and verify its shapes, labels and counts')
    .argument('<dataset>', 'dataset name (see cohort data list), or a folder or CSV of images')
    .argument('[path]', 'folder or archive with its files (default: the usual places)')
    .option('--follow-links', 'follow links that lead outside the folder of images')
    .action(async (name: string, path: string | undefined, options: CommonOptions & LinkOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const { followLinks = false } = options;
        const check = await environment.actions.checkDataset(...(await placeOf(name, path)), { followLinks });
        const isSound = check.problems.length === 0;
        const outcome = { status: isSound ? 'sound' : 'problems', ...check };
        return {
          text: describeCheck(check),
          json: outcome,
          exitCode: isSound ? EXIT_CODES.ok : EXIT_CODES.failure,
        };
      });
      setExitCode(exitCode);
    });
  withCommonOptions(data.command('fetch'))
    .description('download, verify and unpack a dataset into the cache; resumes if interrupted')
    .argument('<dataset>', 'dataset name (see cohort data list)')
    .action(async (name: string, options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        const result = await environment.actions.fetchDataset(name, call);
        return { text: describeFetch(result), json: result };
      });
      setExitCode(exitCode);
    });
  withCommonOptions(data.command('scenes'))
    .description('make Emoji-Scenes, a benchmark for detection and segmentation, in a folder')
    .argument('<folder>', 'folder to make; what it has of the same names is replaced')
    .option('--train <count>', 'training scenes', wholeNumber(1, 999_999), 2000)
    .option('--validation <count>', 'validation scenes', wholeNumber(1, 999_999), 250)
    .option('--test <count>', 'test scenes, of other drawing styles', wholeNumber(1, 999_999), 500)
    .option('--size <pixels>', 'side of a scene, from 64 to 512', wholeNumber(64, 512), 128)
    .action(async (folder: string, options: CommonOptions & SceneFlags) => {
      const exitCode = await runCommand(environment, options, async ({ reporter, signal }) => {
        const { train, validation, test, size } = options;
        const result = await environment.actions.makeScenes?.(folder, {
          train,
          validation,
          test,
          size,
          signal,
          onMessage: (text) => {
            reporter.message(text);
          },
          onProgress: (text) => {
            reporter.progress?.(text);
          },
        });
        return { text: result === undefined ? null : describeScenes(result), json: result ?? {} };
      });
      setExitCode(exitCode);
    });
}

interface SceneFlags {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
  readonly size: number;
}

function describeScenes(result: ScenesResult): string {
  const { folder, scenes, objects, classes, digest, isAsRecorded } = result;
  const recorded =
    isAsRecorded === null
      ? ''
      : isAsRecorded
        ? ' (as recorded)'
        : ' (not as recorded: results on these scenes cannot be compared with published ones)';
  return [
    `${scenes.toLocaleString('en-US')} scenes with ${objects.toLocaleString('en-US')} objects of ${classes.length} classes: ${folder}`,
    `SHA-256 of pictures and annotations: ${digest}${recorded}`,
    `next: data.path=${folder} in a recipe with a task (detection, instance-segmentation or segmentation)`,
  ].join('\n');
}

/** Name and path of a dataset. A path alone is a folder or table of images, as for `cohort train`. */
async function placeOf(name: string, path: string | undefined): Promise<[string, string | null]> {
  if (path !== undefined) return [name, path];
  const { datasetNames } = await import('../../data/registry.ts');
  if (datasetNames().includes(name)) return [name, null];
  // Whatever else is at that path, a spreadsheet or an archive, is refused by what it is.
  const isPath = /[/\\]/.test(name) || isFolderOrTable(name) || existsSync(name);
  return isPath ? ['folder', name] : [name, null];
}

function describeList(datasets: readonly DatasetListing[]): string {
  const rows = datasets.map((one) => [
    one.name,
    `${one.classes}`,
    one.trainImages.toLocaleString('en'),
    one.testImages.toLocaleString('en'),
    `${one.shape.channels}x${one.shape.height}x${one.shape.width}`,
    one.path === null ? '-' : 'found',
  ]);
  const details = datasets.flatMap(({ name, title, licence, homepage, path, megabytes }) => [
    `${name}: ${title}. Licence: ${licence}. ${homepage}`,
    path === null
      ? `    not found; cohort data fetch ${name}${megabytes === null ? '' : ` (${Math.ceil(megabytes).toLocaleString('en')} MB)`}`
      : `    ${path}`,
  ]);
  const heading = ['dataset', 'classes', 'train', 'test', 'image', 'files'];
  return [formatTable(heading, rows), '', ...details].join('\n');
}

function describeCheck(check: DatasetCheck): string {
  const { name, isPublished, path, shape, classes, normalisation, problems, notes } = check;
  const splits = (['train', 'validation', 'test'] as const).flatMap((split) => {
    const counts = check[split];
    return counts === null ? [] : [{ split, ...counts }];
  });
  const rows = [
    ...classes.map((label, index) => [label, ...splits.map(({ perClass }) => `${perClass[index] ?? 0}`)]),
    ['all', ...splits.map(({ count }) => `${count}`)],
  ];
  const numbers = (values: readonly number[]): string => values.map((value) => value.toFixed(4)).join(' ');
  return [
    formatTable(['class', ...splits.map(({ split }) => split)], rows),
    `images ${shape.channels}x${shape.height}x${shape.width}; of the training pixels, mean ${numbers(normalisation.mean)}, standard deviation ${numbers(normalisation.std)}`,
    ...notes.map((note) => `note: ${note}`),
    ...problems.map((problem) => `problem: ${problem}`),
    `${name} ${problems.length === 0 ? 'is intact' : isPublished ? 'is not as published' : 'has problems'}${path === null ? '' : `: ${path}`}`,
  ].join('\n');
}

function describeFetch({ name, folder, status, files, digest, isAsDocumented }: FetchResult): string {
  const told = status === 'verified' ? 'is already there, unchanged' : 'is there';
  const compared = {
    true: ', as documented',
    false: '; the documentation lists another, which a different sharp version explains',
    null: '',
  }[`${isAsDocumented}`];
  return [
    `${name} ${told}: ${folder} (${files} files)`,
    `SHA-256 of its SHA256SUMS: ${digest}${compared}`,
    `next: ${shellCommand(['cohort', 'data', 'check', name])}, or data.dataset=${name} in a recipe`,
  ].join('\n');
}
