/** Ties the commands to the code that does the work, which is imported only when a command runs, so that `--help` is fast. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadBenchmark } from './benchmark.ts';
import type { CommandActions } from './contracts.ts';

/** The real work behind every command. */
export const commandActions: CommandActions = {
  surveyImages: async (...given) => (await import('../data/folder/survey.ts')).surveyImages(...given),
  surveyPictures: async (...given) => (await import('../data/folder/survey.ts')).surveyPictures(...given),
  trainRun: async (...given) => (await import('../transfer/training/anyRun.ts')).trainRun(...given),
  resumeRun: async (run, options) => {
    const { findRun } = await import('../train/run/resume.ts');
    return (await import('../transfer/training/anyRun.ts')).resumeRun(findRun(run), options);
  },
  planLaunch: async (...given) => {
    const [{ planRecipe }, { planText }] = await Promise.all([
      import('../launch/planRecipe.ts'),
      import('../train/distributed/plan.ts'),
    ]);
    const plan = await planRecipe(...given);
    return { plan, text: planText(plan) };
  },
  trainRank: async (...given) => (await import('../launch/trainRank.ts')).trainRank(...given),
  evaluateRun: async (run, options) => {
    const { findRun } = await import('@cohort-ml/runs');
    const path = findRun(run, options.runs ?? 'runs');
    return (await import('../inference/evaluateRun.ts')).evaluateRun(path, options);
  },
  predictImages: async function* (run, inputs, options) {
    const { findRun } = await import('@cohort-ml/runs');
    const path = findRun(run, options.runs ?? 'runs');
    yield* (await import('../inference/predictImages.ts')).predictImages(path, inputs, options);
  },
  taskOf: async (run, options) => {
    const { findRun } = await import('@cohort-ml/runs');
    const { recipeOfRun } = await import('../transfer/training/loadTaskRun.ts');
    return recipeOfRun(findRun(run, options.runs ?? 'runs')).task?.name ?? null;
  },
  evaluateTask: async (run, options) => {
    const { findRun } = await import('@cohort-ml/runs');
    const path = findRun(run, options.runs ?? 'runs');
    return (await import('../transfer/training/evaluateTaskRun.ts')).evaluateTaskRun(path, options);
  },
  predictTask: async function* (run, inputs, options) {
    const { findRun } = await import('@cohort-ml/runs');
    const path = findRun(run, options.runs ?? 'runs');
    yield* (await import('../transfer/training/predictTaskRun.ts')).predictTaskRun(path, inputs, options);
  },
  exportRun: async (run, options) => {
    const { findRun } = await import('@cohort-ml/runs');
    const path = findRun(run, options.runs ?? 'runs');
    const { recipeOfRun } = await import('../transfer/training/loadTaskRun.ts');
    if (recipeOfRun(path).task !== undefined) {
      return (await import('../export/tasks/exportTaskRun.ts')).exportTaskRun(path, options);
    }
    return (await import('../export/exportRun.ts')).exportRun(path, options);
  },
  describeModels: async () => (await import('../models/index.ts')).describeModels(),
  listDatasets: async () => (await import('../data/listDatasets.ts')).listDatasets(),
  checkDataset: async (name, path, options) =>
    (await import('../data/checkDataset.ts')).checkDataset(name, { path, ...options }),
  makeScenes: async (...given) => (await import('../transfer/scenes/make.ts')).makeEmojiScenes(...given),
  fetchDataset: async (name, { signal, reporter }) =>
    (await import('../data/fetch/fetchDataset.ts')).fetchDataset(name, {
      signal,
      onMessage: (text) => {
        reporter.message(text);
      },
      onProgress: (text) => {
        reporter.progress?.(text);
      },
    }),
  importWeights: async (path, options) => {
    const { runsNamed } = await import('@cohort-ml/runs');
    // Whatever is at the path comes first; a name of several runs is as good as none.
    const [run, ...others] = existsSync(path) ? [] : runsNamed(path, 'runs');
    const source = run !== undefined && others.length === 0 ? join('runs', run) : path;
    const { classes, classNamesPath, rules = [], key } = options;
    // With these, a classifier is asked for: the backbone of a detector can be one.
    const isPlain = classes === undefined && classNamesPath === undefined && rules.length === 0;
    const tasks = await import('../transfer/training/importTaskWeights.ts');
    if (isPlain && tasks.isTaskCheckpoint(source, key)) return tasks.importTaskWeights(source, options);
    return (await import('../cohort/importWeights.ts')).importWeights(source, options);
  },
  diagnose: async () => (await import('../doctor/doctor.ts')).diagnose(),
  setUpEngine: async ({ signal, reporter, force }) =>
    (await import('@cohort-ml/torch/setup')).setUpEngine({
      force,
      signal,
      onMessage: (text) => {
        reporter.message(text);
      },
    }),
  listBenchCases: async (names) => (await loadBenchmark()).selectCases(names),
  benchmark: async (...given) => (await loadBenchmark()).benchmark(...given),
  compare: async (...given) => (await import('../compare/compare.ts')).compare(...given),
  reportComparison: async (...given) =>
    (await import('../compare/report/reportComparison.ts')).reportComparison(...given),
  probeRuns: async (...given) => (await import('../transfer/probeRuns.ts')).probeRuns(...given),
  reportProbes: async (...given) => (await import('../transfer/probeRuns.ts')).reportProbes(...given),
  runDemo: async (...given) => (await import('./commands/demo.ts')).runDemo(...given),
};
