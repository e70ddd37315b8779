/** The whole benchmark: peaks of the machine, the cases in turn, results on disk; or a check, or a profile, in their place. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions, BenchOutcome, BenchTask } from 'cohort-ml/internal';
import { selectCases, type BenchCase } from './cases.ts';
import { canCheck, checkCase, type Agreement } from './checkCase.ts';
import { BenchError } from './errors.ts';
import { describeBenchMachine, resultName, type BenchMachine } from './machine.ts';
import { describeProfile, profileCase, type CaseProfile } from './profile.ts';
import { startProgram, type Stage } from './programs.ts';
import { findPyTorch, type PyTorchSearch } from './python.ts';
import { describeBench } from './report.ts';
import { statusOf, type BenchResult, type CaseResult } from './results.ts';
import { runCase } from './runCase.ts';

/** Results of `check`. */
export interface CheckResult {
  readonly agreements: readonly Agreement[];
}

/** Results of `profile`. */
export interface ProfileResult {
  readonly date: string;
  readonly machine: BenchMachine;
  readonly profiles: readonly CaseProfile[];
}

/** Does one of the tasks. @throws {BenchError} for wrong options. */
export async function benchmark(task: BenchTask, options: BenchOptions): Promise<BenchOutcome<object>> {
  switch (task) {
    case 'measure':
      return runBench(options);
    case 'check':
      return checkBench(options);
    case 'profile':
      return profileBench(options);
  }
}

/** Measures. An interruption keeps the cases that are done. @throws {BenchError} for wrong options. */
async function runBench(options: BenchOptions): Promise<BenchOutcome<BenchResult>> {
  const cases = selectCases(options.only ?? []);
  const date = new Date().toISOString();
  return onStage(options, async (stage) => {
    const { pytorch, signal, threads } = stage;
    if (pytorch.absent !== null) options.reporter.warning(`PyTorch is not compared with: ${pytorch.absent}.`);
    const onProgress = (text: string): void => options.reporter.progress?.(text);
    onProgress('measuring the peaks of matrix products and convolutions');
    const { libtorch, peaks } = await measurePeaks(stage, cases);
    const machine = describeBenchMachine({ libtorch, pytorch: versionsOf(pytorch) });
    const results: CaseResult[] = [];
    for (const benchCase of cases) {
      try {
        const result = await runCase(benchCase, { ...stage, rounds: options.rounds, peaks, onProgress });
        results.push(result);
        options.reporter.message(summaryOf(result));
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof BenchError)) throw error;
        results.push({
          name: benchCase.name,
          title: benchCase.title,
          contestants: [],
          missing: [{ name: 'the case', reason: error.message, isLeftOut: false }],
        });
        options.reporter.warning(error.message);
      }
    }
    const status = signal.aborted ? 'interrupted' : statusOf(results);
    const result: BenchResult = { status, date, machine, threads, peaks, cases: results };
    const text = describeBench(result);
    const name = `${resultName(date, machine)}${threads === machine.cores ? '' : `-${threads}-threads`}`;
    const files = results.length === 0 ? [] : write(options.out, name, result, text);
    return { result, text, files, isGood: status === 'finished' };
  });
}

/** Compares what both sides compute. @throws {BenchError} without PyTorch, or when no case that was picked can be compared. */
async function checkBench(options: BenchOptions): Promise<BenchOutcome<CheckResult>> {
  const cases = selectCases(options.only ?? []).filter(canCheck);
  assertSome(cases, 'checking', 'cases whose results can be compared: steps and evaluation');
  return onStage(options, async (stage) => {
    if (stage.pytorch.absent !== null) {
      throw new BenchError('checking', 'PyTorch to compare with', 'none', `${stage.pytorch.absent}.`);
    }
    const agreements: Agreement[] = [];
    for (const benchCase of cases) {
      options.reporter.progress?.(`checking ${benchCase.name}`);
      agreements.push(...(await checkCase(benchCase, stage)));
    }
    const rows = agreements.map(
      ({ agrees, case: name, with: other, step, value, ours, reference }) =>
        `${agrees ? 'agrees ' : 'DIFFERS'}  ${name}, step ${step}, ${value}: Cohort ${ours.toPrecision(7)}, ${other} ${reference.toPrecision(7)}`,
    );
    const isGood = agreements.every(({ agrees }) => agrees);
    return { result: { agreements }, text: rows.join('\n'), files: [], isGood };
  });
}

/** Profiles our training steps. @throws {BenchError} when no step is among the cases. */
async function profileBench(options: BenchOptions): Promise<BenchOutcome<ProfileResult>> {
  const cases = selectCases(options.only ?? ['mcl-resnet32-x2']);
  const date = new Date().toISOString();
  return onStage(options, async (stage) => {
    const profiles: CaseProfile[] = [];
    for (const benchCase of cases) {
      options.reporter.progress?.(`profiling ${benchCase.name}`);
      profiles.push(...(await profileCase(benchCase, stage)));
    }
    assertSome(profiles, 'profiling', 'training steps among the cases, e.g. --only mcl');
    const { libtorch } = await measurePeaks(stage, []);
    const machine = describeBenchMachine({ libtorch, pytorch: versionsOf(stage.pytorch) });
    const result = { date, machine, profiles };
    const text = profiles.map(describeProfile).join('\n\n');
    return {
      result,
      text,
      files: write(options.out, `${resultName(date, machine)}-profile`, result, text),
      isGood: true,
    };
  });
}

/** Runs `body` with a temporary folder that is gone afterwards, and with PyTorch looked for. */
async function onStage<Result>(
  options: BenchOptions,
  body: (stage: Stage) => Promise<Result>,
): Promise<Result> {
  const { signal, variables, comparesWithPyTorch, threads = availableParallelism(), device } = options;
  const { references, compiles = false } = options;
  const pytorch: PyTorchSearch = comparesWithPyTorch
    ? findPyTorch(variables, references)
    : { found: [], absent: 'the comparison with PyTorch is switched off' };
  const folder = mkdtempSync(join(tmpdir(), 'cohort-bench-'));
  try {
    return await body({ threads, device, pytorch, compiles, signal, folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** LibTorch's version, and the peaks, which are measured only where a case is told as a share of them. */
async function measurePeaks(
  stage: Stage,
  cases: readonly BenchCase[],
): Promise<{ libtorch: string; peaks: Readonly<Record<string, number>> }> {
  const needed = cases.some(({ contestants }) =>
    contestants.some(({ work }) => ['step', 'evaluation', 'single-image', 'prediction'].includes(work.kind)),
  );
  const contestant = {
    name: 'peaks',
    program: 'cohort',
    precision: 'float32',
    work: { kind: 'peaks' },
  } as const;
  const program = startProgram(contestant, stage);
  try {
    const { version } = await program.about();
    return { libtorch: version, peaks: needed ? (await program.run(1)).values : {} };
  } finally {
    await program.end();
  }
}

function versionsOf({ found }: PyTorchSearch): string[] {
  return found.map(({ version }) => version);
}

function summaryOf({ name, contestants, missing }: CaseResult): string {
  const parts = [
    ...contestants.map((each) => `${each.name} ${each.ms.median.toFixed(1)} ms`),
    ...missing.map((each) => `${each.name} missing (${each.reason})`),
  ];
  return `${name}: ${parts.join(', ')}`;
}

/** Writes JSON and Markdown; returns their paths. */
function write(folder: string | undefined, name: string, result: object, text: string): string[] {
  if (folder === undefined) return [];
  mkdirSync(folder, { recursive: true });
  const files = [join(folder, `${name}.json`), join(folder, `${name}.md`)] as const;
  writeFileSync(files[0], `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(files[1], `${text}\n`);
  return [...files];
}

/** @throws {BenchError} for an empty list. */
function assertSome(list: readonly unknown[], operation: string, expected: string): void {
  if (list.length > 0) return;
  throw new BenchError(operation, expected, 'none', 'cohort bench --list shows every case.');
}
