/** Ties the commands to the code that does the work, which is imported only when a command runs, so that `--help` is fast. */
import { loadBenchmark } from './benchmark.ts';
import type { CommandActions } from './contracts.ts';

/** The real work behind every command. */
export const commandActions: CommandActions = {
  surveyImages: async (...given) => (await import('../data/folder/survey.ts')).surveyImages(...given),
  trainRun: async (...given) => (await import('../train/run/run.ts')).trainRun(...given),
  resumeRun: async (run, options) => {
    const { findRun, resumeRun } = await import('../train/run/resume.ts');
    return resumeRun(findRun(run), options);
  },
  evaluateRun: async (...given) => (await import('../inference/evaluateRun.ts')).evaluateRun(...given),
  predictRun: async (...given) => (await import('../inference/predictRun.ts')).predictRun(...given),
  describeModels: async () => (await import('../models/index.ts')).describeModels(),
  listDatasets: async () => (await import('../data/listDatasets.ts')).listDatasets(),
  checkDataset: async (name, path, options) =>
    (await import('../data/checkDataset.ts')).checkDataset(name, { path, ...options }),
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
  importWeights: async (...given) => (await import('../cohort/importWeights.ts')).importWeights(...given),
  diagnose: async () => (await import('../doctor/doctor.ts')).diagnose(),
  listBenchCases: async (names) => (await loadBenchmark()).selectCases(names),
  benchmark: async (...given) => (await loadBenchmark()).benchmark(...given),
  compare: async (...given) => (await import('../compare/compare.ts')).compare(...given),
  reportComparison: async (...given) =>
    (await import('../compare/report/reportComparison.ts')).reportComparison(...given),
  runDemo: async (...given) => (await import('./commands/demo.ts')).runDemo(...given),
};
