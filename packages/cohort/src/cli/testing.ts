/** Fixtures for this folder's tests: `cohort` run with streams, a clock, Ctrl-C and actions that a test holds in its hands. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { CommandActions } from './contracts.ts';
import type { CliEnvironment, InterruptSignal } from './environment.ts';
import { main } from './main.ts';

const recipeText = `name: small
data: { dataset: fashion-mnist }
networks: [{ model: resnet8 }, { model: resnet8 }]
method: { name: mcl }
train: { epochs: 10 }
`;

/** What a finished call came to. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly exits: readonly number[];
  readonly listeners: number;
}

/** Runs `cohort` with these actions; `interrupt` is Ctrl-C or the signal that it is given, `answer` what the user types when asked, null without a terminal. */
export type Run = (
  argv: readonly string[],
  actions?: (interrupt: (signal?: InterruptSignal) => void) => Partial<CommandActions>,
  answer?: string | null,
) => Promise<Outcome>;

/** Gives a file of tests a folder with one recipe, `small`, and a way to run `cohort` next to it. */
export function useCommandLine(): { readonly run: Run; readonly recipesFolder: () => string } {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cohort-cli-'));
    writeFileSync(join(folder, 'small.yaml'), recipeText);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    run: (argv, actions = () => ({}), answer = null) => runWith(folder, argv, actions, answer),
    recipesFolder: () => folder,
  };
}

class FakeStream {
  text = '';
  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

const unexpected = (): Promise<never> => Promise.reject(new Error('this action was not expected'));

async function* unexpectedImages(): AsyncGenerator<never, void, undefined> {
  yield await unexpected();
}

async function runWith(
  recipesFolder: string,
  argv: readonly string[],
  actions: (interrupt: (signal?: InterruptSignal) => void) => Partial<CommandActions>,
  answer: string | null,
): Promise<Outcome> {
  const stdout = new FakeStream();
  const stderr = new FakeStream();
  const exits: number[] = [];
  const listeners = new Set<(signal: InterruptSignal) => void>();
  const interrupt = (signal: InterruptSignal = 'SIGINT'): void => {
    for (const listener of listeners) listener(signal);
  };
  const environment: CliEnvironment = {
    stdout,
    stderr,
    variables: {},
    now: () => 0,
    onInterrupt: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ask: answer === null ? null : () => Promise.resolve(answer),
    exit: (code) => exits.push(code),
    exitSoon: () => undefined,
    recipesFolder,
    actions: {
      surveyImages: unexpected,
      surveyPictures: unexpected,
      trainRun: unexpected,
      planLaunch: unexpected,
      trainRank: unexpected,
      resumeRun: unexpected,
      evaluateRun: unexpected,
      predictImages: () => unexpectedImages(),
      exportRun: unexpected,
      describeModels: unexpected,
      importWeights: unexpected,
      diagnose: unexpected,
      setUpEngine: unexpected,
      listDatasets: unexpected,
      checkDataset: unexpected,
      fetchDataset: unexpected,
      listBenchCases: unexpected,
      benchmark: unexpected,
      compare: unexpected,
      reportComparison: unexpected,
      probeRuns: unexpected,
      reportProbes: unexpected,
      runDemo: unexpected,
      ...actions(interrupt),
    },
  };
  const code = await main(argv, environment);
  return { code, out: stdout.text, err: stderr.text, exits, listeners: listeners.size };
}

/** The JSON object on the last line. */
export function lastLine(text: string): unknown {
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');
}
