/** One case: starts its programs, lets them warm up, then takes turns until there are enough rounds. */
import { freemem } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { estimatedBytes, type BenchCase, type Contestant } from './cases.ts';
import type { Program } from './contestant.ts';
import { BenchError } from './errors.ts';
import { imageFilesOf, startProgram, type Stage } from './programs.ts';
import { withReferences } from './references.ts';
import { withRatios, type CaseResult, type Measured, type Missing } from './results.ts';
import { repetitionsPerTurn, spreadOf } from './statistics.ts';
import { imagesPerRepetition, operationsPerRepetition, type AboutWork } from './work.ts';

/** Fewer rounds say nothing about spread. */
const fewestRounds = 3;

/** Of the free memory, more than this for one program would make the system swap. */
const mostOfFreeMemory = 0.4;

/** What a case is measured with. */
export interface CaseOptions extends Stage {
  /** Turns of each program, at most. */
  readonly rounds: number;
  readonly peaks: Readonly<Record<string, number>>;
  readonly onProgress: (text: string) => void;
}

/** A program that takes its turns. */
interface Runner {
  readonly contestant: Contestant;
  readonly program: Program;
  readonly about: AboutWork;
  readonly ms: number[];
  images: number | null;
}

/** Measures a case; programs that fail are named in the result, and the others go on. */
export async function runCase(given: BenchCase, options: CaseOptions): Promise<CaseResult> {
  const benchCase = withReferences(given, options.pytorch.found, options.compiles);
  const { name, title } = benchCase;
  const missing: Missing[] = [];
  const runners: Runner[] = [];
  options.onProgress(`${name}: making what it reads`);
  const paths = await imageFilesOf(benchCase, options);
  try {
    for (const contestant of benchCase.contestants) {
      options.onProgress(`${name}: starting ${contestant.name}`);
      const reason = leftOut(contestant, options);
      if (reason !== null) {
        missing.push({ name: contestant.name, reason, isLeftOut: true });
        continue;
      }
      await attempt(contestant.name, missing, options.signal, async () => {
        const program = startProgram(contestant, options, paths);
        try {
          runners.push({ contestant, program, about: await program.about(), ms: [], images: null });
        } catch (error) {
          await program.end();
          throw error;
        }
      });
    }
    assertSameNetworks(name, runners);
    await takeTurns(benchCase, runners, options, missing);
    const measured: Measured[] = [];
    for (const runner of runners) {
      await attempt(runner.contestant.name, missing, options.signal, async () => {
        measured.push(await summarise(runner, options.peaks));
      });
    }
    return { name, title, contestants: withRatios(measured), missing };
  } finally {
    await Promise.all(runners.map(({ program }) => program.end()));
  }
}

/** Why a contestant is not even started; null if it is. PyTorch's absence is told once for all cases, not here. */
function leftOut(contestant: Contestant, { pytorch }: Stage): string | null {
  if (contestant.program === 'pytorch' && pytorch.absent !== null) return 'PyTorch is not here';
  if (contestant.program === 'torchdistill' && contestant.pytorch === undefined) {
    return 'no Python here has torchdistill (pip install torchdistill; --reference names a Python that has)';
  }
  const [needed, free] = [estimatedBytes(contestant), freemem()];
  if (needed <= mostOfFreeMemory * free) return null;
  const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return `it would need about ${gibibytes(needed)}, and ${gibibytes(free)} are free`;
}

/** Runs `body`; a failure of its program goes on the list, an interruption goes on. */
async function attempt(
  name: string,
  missing: Missing[],
  signal: AbortSignal,
  body: () => Promise<void>,
): Promise<boolean> {
  try {
    await body();
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BenchError)) throw error;
    missing.push({ name, reason: error.message, isLeftOut: false });
    return false;
  }
}

/** @throws {BenchError} where the two sides would not do the same work. */
export function assertSameNetworks(
  name: string,
  runners: readonly { readonly contestant: Pick<Contestant, 'name'>; readonly about: AboutWork }[],
): void {
  const [first] = runners;
  for (const { contestant, about } of runners) {
    for (const key of ['parameters', 'multiplyAdds'] as const) {
      if (about[key] === first?.about[key]) continue;
      throw new BenchError(
        `benchmark ${name}`,
        `the ${first?.about[key] ?? 'unknown'} ${key} of ${first?.contestant.name ?? 'the first'}`,
        `${about[key] ?? 'unknown'} of ${contestant.name}`,
        'The two sides do not have the same networks: bring benchmarks/reference in line with the models.',
      );
    }
  }
}

/** Warm-up, then rounds; a runner that fails is taken out. */
async function takeTurns(
  { name, warmups, budgetSeconds }: BenchCase,
  runners: Runner[],
  { rounds, signal, onProgress }: CaseOptions,
  missing: Missing[],
): Promise<void> {
  const turn = async (runner: Runner, repetitions: number): Promise<number[]> => {
    const { ms, values } = await runner.program.run(repetitions);
    runner.images = values.images ?? imagesPerRepetition(runner.contestant.work);
    return [...ms];
  };
  const everyone = async (body: (runner: Runner) => Promise<void>): Promise<void> => {
    for (const runner of [...runners]) {
      // Ctrl-C is heard between two turns.
      await setImmediate();
      signal.throwIfAborted();
      const isWell = await attempt(runner.contestant.name, missing, signal, () => body(runner));
      if (isWell) continue;
      runners.splice(runners.indexOf(runner), 1);
      await runner.program.end();
    }
  };
  let slowest = 0;
  await everyone(async (runner) => {
    onProgress(`${name}: ${runner.contestant.name} warms up`);
    slowest = Math.max(slowest, (await turn(runner, warmups)).at(-1) ?? 0);
  });
  const repetitions = repetitionsPerTurn(slowest);
  const begin = performance.now();
  for (let round = 0; round < rounds; round += 1) {
    const seconds = (performance.now() - begin) / 1000;
    if (round >= fewestRounds && seconds > budgetSeconds) break;
    await everyone(async (runner) => {
      onProgress(`${name}: round ${round + 1} of ${rounds}, ${runner.contestant.name}`);
      runner.ms.push(...(await turn(runner, repetitions)));
    });
  }
}

async function summarise(
  { contestant, program, about, ms, images }: Runner,
  peaks: Readonly<Record<string, number>>,
): Promise<Measured> {
  const spread = spreadOf(ms);
  const operations =
    about.multiplyAdds === undefined ? null : operationsPerRepetition(contestant.work, about.multiplyAdds);
  const gigaflops = operations === null ? null : operations / spread.median / 1e6;
  const peak = peaks[`convolution ${contestant.precision}`];
  return {
    name: contestant.name,
    isReference: contestant.isReference,
    precision: contestant.precision,
    version: about.version,
    capability: about.capability,
    ms: spread,
    imagesPerSecond: images === null ? null : (1000 * images) / spread.median,
    gigaflops,
    shareOfConvolutionPeak: gigaflops === null || peak === undefined ? null : gigaflops / peak,
    peakResidentBytes: await program.peakResidentBytes(),
  };
}
