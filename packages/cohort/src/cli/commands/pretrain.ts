/** `cohort pretrain`: from pictures without labels to networks that others start from, and on to a classifier if asked to. */
import { join } from 'node:path';
import type { Command } from 'commander';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { shellCommand } from '../../support/shellCommand.ts';
import type { TrainOptions, TrainResult } from '../../train/run/run.ts';
import { runCommand, TRAINING, type CommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';
import { EXIT_CODES, UsageError } from '../failures.ts';
import { isFolderOrTable, recipeOf, type RecipeOptions } from '../recipeArgument.ts';
import { describeResult, train, withDashboard, withRunOptions, type RunOptions } from './train.ts';

/** What `--then-train` came with: nothing, or settings of the second training. */
interface ThenTrain {
  readonly thenTrain?: true | readonly string[];
}

type PretrainFlags = CommonOptions & RecipeOptions & RunOptions & ThenTrain;

/** Adds the command. */
export function addPretrainCommand(
  program: Command,
  environment: CliEnvironment,
  argv: readonly string[],
  setExitCode: (code: number) => void,
): void {
  withRunOptions(program.command('pretrain'))
    .description('learn from pictures without labels, in any nesting of folders, and write a run folder')
    .argument('[recipe]', 'folder of pictures, recipe name, or YAML file; omitted with --resume')
    .argument('[overrides...]', 'settings to change, as key=value with dotted paths and YAML values')
    .option(
      '--then-train [settings...]',
      'then train on the pictures in class folders, from these weights; SETTINGS change that training',
    )
    .action(async (recipe: string | undefined, overrides: string[], options: PretrainFlags) => {
      const exitCode = await runCommand(
        environment,
        options,
        async (call) => {
          const { stopAfter, tensorboard } = options;
          const given: TrainOptions = {
            ...call,
            command: shellCommand(['cohort', ...argv]),
            ...(stopAfter === undefined ? {} : { stopAfterSeconds: stopAfter }),
            ...(tensorboard === undefined ? {} : { tensorboard }),
          };
          const { pretrained, trained } = await pretrain(recipe, overrides, options, environment, given);
          const last = trained ?? pretrained;
          return {
            text: textOf(pretrained, trained, recipe, options),
            json: trained === null ? pretrained : { ...trained, pretrained },
            exitCode: last.status === 'interrupted' ? EXIT_CODES.interrupted : EXIT_CODES.ok,
          };
        },
        TRAINING,
      );
      setExitCode(exitCode);
    });
}

interface Outcome {
  readonly pretrained: TrainResult;
  /** Null where it was not asked for, or not begun. */
  readonly trained: TrainResult | null;
}

async function pretrain(
  recipe: string | undefined,
  overrides: readonly string[],
  options: PretrainFlags,
  environment: CliEnvironment,
  call: TrainOptions,
): Promise<Outcome> {
  const { thenTrain, resume } = options;
  const settings = thenTrain === undefined ? null : thenTrain === true ? [] : thenTrain;
  if (resume !== undefined || recipe === undefined) {
    const pretrained = await train(recipe, overrides, options, environment, call, 'pretrain');
    // Only `cohort launch` starts ranks that follow another, and it takes no `pretrain`.
    if (!('runFolder' in pretrained)) throw new UsageError('cohort launch runs cohort train only.');
    if (settings === null || pretrained.status !== 'finished') return { pretrained, trained: null };
    const resolved = await recipeOfRun(pretrained.runFolder);
    const next = await secondRecipe(resolved, settings, pretrained.runFolder, environment, call);
    return { pretrained, trained: await environment.actions.trainRun(next, call) };
  }
  const resolved = await recipeOf(recipe, overrides, options, environment, call, 'pretrain');
  await assertWithoutLabels(resolved, recipe);
  // What is wrong with the second training is said before hours are spent on the first.
  if (settings !== null) await secondRecipe(resolved, settings, null, environment, call);
  return withDashboard(options, resolved.runs, call, environment.variables, async () => {
    const pretrained = await environment.actions.trainRun(resolved, call);
    if (settings === null || pretrained.status !== 'finished') return { pretrained, trained: null };
    call.reporter.message(
      `pretraining is done (${pretrained.runFolder}); now training on the pictures in class folders, from its weights`,
    );
    const next = await secondRecipe(resolved, settings, pretrained.runFolder, environment, call);
    return { pretrained, trained: await environment.actions.trainRun(next, call) };
  });
}

async function recipeOfRun(runFolder: string): Promise<ResolvedRecipe> {
  const { openRun } = await import('@cohort-ml/runs');
  const { parseRecipe } = await import('../../recipes/load.ts');
  return parseRecipe(openRun(runFolder).recipe, join(runFolder, 'recipe.yaml'));
}

/** A recipe for labels belongs to `cohort train`. @throws RecipeError */
async function assertWithoutLabels({ method }: ResolvedRecipe, argument: string): Promise<void> {
  const { methodDefinitions, methodFacts } = await import('../../methods/registry.ts');
  if (methodFacts(method.name)?.isSelfSupervised === true) return;
  const { RecipeError } = await import('../../recipes/errors.ts');
  const names = methodDefinitions().flatMap(({ name, facts }) =>
    facts.isSelfSupervised === true ? [name] : [],
  );
  throw new RecipeError({
    operation: 'method.name',
    expected: `a method that learns without labels (${names.join(', ')})`,
    received: `${method.name}, which learns from labels`,
    remedy: `Use one of these, or ${shellCommand(['cohort', 'train', argument])}.`,
  });
}

/**
 * The recipe of the training on labelled pictures.
 *
 * @param runFolder whose weights it starts from; null to find out whether there is such a recipe at all
 * @throws UsageError, RecipeError, DataError
 */
async function secondRecipe(
  first: ResolvedRecipe,
  settings: readonly string[],
  runFolder: string | null,
  { actions }: CliEnvironment,
  call: TrainOptions,
): Promise<ResolvedRecipe> {
  const { dataset, path, imageSize, followLinks } = first.data;
  const isFolder = dataset === 'unlabelled' || dataset === 'folder';
  if (!isFolder || path === null || !isFolderOrTable(path)) {
    throw new UsageError(
      `--then-train needs a folder of pictures, and this recipe has dataset ${dataset}. Leave it out, and train afterwards with a recipe that has networks.0.weights=RUN.`,
    );
  }
  const { proposeRecipe } = await import('../../recipes/propose.ts');
  const survey = await actions.surveyImages(path, { ...call, followLinks });
  if (survey.classes.length < 2) {
    throw new UsageError(
      `--then-train needs pictures of two or more classes, one folder per class, and ${path} has ${survey.classes.length}. Add class folders, or leave it out.`,
    );
  }
  const networks = first.networks.map(({ model }) => ({ model, weights: runFolder }));
  const { recipe, text } = proposeRecipe(survey, [`runs=${JSON.stringify(first.runs)}`, ...settings], {
    networks,
    imageSize,
  });
  if (runFolder !== null) call.reporter.message(text);
  return recipe;
}

function textOf(
  pretrained: TrainResult,
  trained: TrainResult | null,
  argument: string | undefined,
  { thenTrain }: ThenTrain,
): string {
  const first = describeResult(pretrained, 'pretrain');
  if (trained !== null) {
    return [
      `pretraining without labels:\n${first}`,
      `training with labels, from its weights:\n${describeResult(trained)}`,
    ].join('\n\n');
  }
  if (pretrained.status !== 'finished') {
    // The last line says how to resume; what was to follow is asked for again.
    const again = thenTrain === undefined ? [] : ['--then-train', ...(thenTrain === true ? [] : thenTrain)];
    return [first, ...again.map((word) => shellCommand([word]))].join(' ');
  }
  const { runFolder, networks } = pretrained;
  const folder = argument !== undefined && isFolderOrTable(argument) ? argument : 'RECIPE';
  const weights = networks.map((_, index) => `networks.${index}.weights=${runFolder}`);
  return [
    first,
    `to classify with them: ${shellCommand(['cohort', 'train', folder, ...weights])}`,
    `to measure them on labelled images: ${shellCommand(['cohort', 'probe', runFolder, '--data', 'FOLDER'])}`,
  ].join('\n');
}
