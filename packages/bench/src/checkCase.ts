/** Whether both sides of a case compute the same: ours hands its weights and data over, and both take the same steps. */
import { join } from 'node:path';
import type { BenchCase, Contestant } from './cases.ts';
import type { Program } from './contestant.ts';
import { BenchError } from './errors.ts';
import { startProgram, type Stage } from './programs.ts';
import { withReferences } from './references.ts';
import type { Precision } from './work.ts';

/** How far one value of one step is from the other side's. */
export interface Agreement {
  readonly case: string;
  /** Name of the other side. */
  readonly with: string;
  readonly precision: Precision;
  /** From 1. */
  readonly step: number;
  readonly value: string;
  readonly ours: number;
  readonly reference: number;
  readonly agrees: boolean;
}

const steps = 2;

/** Of the first step and of the second, which has gone through every gradient, whose roundings differ. */
const relativeTolerances: Readonly<Record<Precision, readonly number[]>> = {
  float32: [1e-4, 5e-3],
  bfloat16: [0.02, 0.02],
};

/** Differences of nearly equal numbers, and what is differentiated twice through look-ahead steps, magnify roundings. */
const sensitiveTolerances: Readonly<Record<Precision, number>> = { float32: 0.05, bfloat16: 0.3 };
const sensitive = new Set(['softVcl', 'softIcl', 'hypergradientNorm']);
const absoluteTolerance = 1e-5;

/** Whether two values of one step are the same but for roundings. */
export function agree(
  ours: number,
  reference: number,
  { value, precision, step }: Pick<Agreement, 'value' | 'precision' | 'step'>,
): boolean {
  const usual = relativeTolerances[precision][step - 1] ?? 0;
  const isSensitive =
    sensitive.has(value) && (step > 1 || precision === 'bfloat16' || value === 'hypergradientNorm');
  const relative = isSensitive ? sensitiveTolerances[precision] : usual;
  return Math.abs(ours - reference) <= absoluteTolerance + relative * Math.abs(reference);
}

/** Whether cases of this kind hand weights over. */
export function canCheck({ contestants }: BenchCase): boolean {
  const kind = contestants[0]?.work.kind;
  return kind === 'step' || kind === 'evaluation';
}

/** Compares a case in every precision that it has. @throws {BenchError} when a program fails. */
export async function checkCase(given: BenchCase, stage: Stage): Promise<Agreement[]> {
  const { name, contestants } = withReferences(given, stage.pytorch.found, stage.compiles);
  const agreements: Agreement[] = [];
  for (const ours of contestants.filter(({ program }) => program === 'cohort')) {
    const references = contestants.filter(
      ({ program, precision, pytorch }) =>
        precision === ours.precision &&
        (program === 'pytorch' || (program === 'torchdistill' && pytorch !== undefined)),
    );
    for (const reference of references) agreements.push(...(await compare(name, ours, reference, stage)));
  }
  return agreements;
}

async function compare(
  name: string,
  ours: Contestant,
  reference: Contestant,
  stage: Stage,
): Promise<Agreement[]> {
  const { precision } = ours;
  const programs: Program[] = [];
  try {
    for (const contestant of [ours, reference]) {
      const program = startProgram(contestant, stage);
      programs.push(program);
      await program.about();
    }
    const [left, right] = programs;
    if (left === undefined || right === undefined) return [];
    const file = join(stage.folder, `${name}-${precision}.safetensors`);
    await left.ask(`save ${file}`);
    await right.ask(`load ${file}`);
    const agreements: Agreement[] = [];
    for (let step = 1; step <= steps; step += 1) {
      const mine = (await left.run(1)).values;
      const theirs = (await right.run(1)).values;
      for (const [value, expected] of Object.entries(theirs)) {
        const got = mine[value] ?? NaN;
        const agrees = agree(got, expected, { value, precision, step });
        agreements.push({
          case: name,
          with: reference.name,
          precision,
          step,
          value,
          ours: got,
          reference: expected,
          agrees,
        });
      }
    }
    if (agreements.length === 0) {
      throw new BenchError(
        `checking ${name}`,
        'values to compare',
        'none',
        'Both sides must name their losses.',
      );
    }
    return agreements;
  } finally {
    await Promise.all(programs.map((program) => program.end()));
  }
}
