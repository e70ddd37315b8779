/**
 * `cohort bench --profile`: a step's time by part and operator. LibTorch's own profiler is a C++ interface without an
 * operator; operators are timed at our dispatch instead, which shows forward pass, losses and optimizer. The backward pass
 * is one native call: oneDNN, asked to tell every primitive that it runs, says what of it are convolutions.
 */
import type { BenchCase, Contestant } from './cases.ts';
import { startProgram, type Stage } from './programs.ts';
import type { OperatorTime, StepProfile } from './profileSteps.ts';
import { markdownTable } from './report.ts';

/** A primitive of oneDNN in one direction, with all of its runs. */
export interface PrimitiveTime extends OperatorTime {
  /** `forward_training`, `backward_data`, `backward_weights`; `undef` for those without one. */
  readonly direction: string;
}

/** One contestant's profile. */
export interface CaseProfile {
  readonly case: string;
  readonly contestant: string;
  readonly steps: StepProfile;
  /** The costliest first; empty where oneDNN says nothing. */
  readonly primitives: readonly PrimitiveTime[];
}

const warmups = 2;
const profiledSteps = 5;

/** Profiles our side of a step case, in every precision. @throws {BenchError} when a program fails. */
export async function profileCase(benchCase: BenchCase, stage: Stage): Promise<CaseProfile[]> {
  const ours = benchCase.contestants.filter(
    ({ program, work }) => program === 'cohort' && work.kind === 'step' && !work.metaStep,
  );
  const profiles: CaseProfile[] = [];
  for (const contestant of ours) profiles.push(await profileContestant(benchCase.name, contestant, stage));
  return profiles;
}

async function profileContestant(name: string, contestant: Contestant, stage: Stage): Promise<CaseProfile> {
  // Versions of oneDNN read one name or the other.
  const program = startProgram(contestant, stage, [], { ONEDNN_VERBOSE: '1', DNNL_VERBOSE: '1' });
  try {
    await program.about();
    await program.run(warmups);
    program.takeOtherLines();
    const steps = (await program.ask(`profile ${profiledSteps}`)) as StepProfile;
    const primitives = readPrimitives(program.takeOtherLines());
    return { case: name, contestant: contestant.name, steps, primitives };
  } finally {
    await program.end();
  }
}

/** Adds up oneDNN's verbose lines: `onednn_verbose,exec,cpu,KIND,IMPLEMENTATION,DIRECTION,...,MILLISECONDS`. */
export function readPrimitives(lines: readonly string[]): PrimitiveTime[] {
  const times = new Map<string, { name: string; direction: string; calls: number; ms: number }>();
  for (const line of lines) {
    const fields = line.split(',');
    const [producer = '', event, , kind = '', implementation = '', direction = ''] = fields;
    const ms = Number(fields.at(-1));
    if (!/^(onednn|dnnl)_verbose$/.test(producer) || event !== 'exec' || !Number.isFinite(ms)) continue;
    const name = `${kind} (${implementation})`;
    const key = `${name} ${direction}`;
    const entry = times.get(key) ?? { name, direction, calls: 0, ms: 0 };
    times.set(key, { ...entry, calls: entry.calls + 1, ms: entry.ms + ms });
  }
  return [...times.values()].sort((left, right) => right.ms - left.ms);
}

/** Operators below this share of a step are added up in one row. */
const smallestShare = 0.005;

/** A profile as Markdown, a row a part or operator. */
export function describeProfile({ case: name, contestant, steps, primitives }: CaseProfile): string {
  const { totalMs, forwardMs, backwardMs, optimizerMs } = steps;
  const row = (part: string, ms: number, calls?: number): string[] => [
    part,
    (ms / steps.steps).toFixed(2),
    `${((100 * ms) / totalMs).toFixed(1)}%`,
    calls === undefined ? '' : (calls / steps.steps).toFixed(0),
  ];
  const inside = (part: string, times: readonly OperatorTime[], whole: number): string[][] => {
    const large = times.filter(({ ms }) => ms >= smallestShare * totalMs);
    const shown = large.reduce((sum, { ms }) => sum + ms, 0);
    return [
      ...large.map((time) => row(`${part}: ${time.name}`, time.ms, time.calls)),
      row(`${part}: everything else`, whole - shown),
    ];
  };
  const backwardPrimitives = primitives.filter(({ direction }) => direction.startsWith('backward'));
  return [
    `## Profile of ${contestant}, \`${name}\``,
    '',
    ...markdownTable(
      ['part', 'ms a step', 'share', 'calls a step'],
      [
        row('whole step', totalMs),
        row('forward pass and losses', forwardMs),
        row('backward pass', backwardMs),
        row('optimizer', optimizerMs),
        ...inside('forward', steps.forward, forwardMs),
        ...inside(
          'backward',
          backwardPrimitives.map(({ name: primitive, direction, ...time }) => ({
            ...time,
            name: `${primitive} ${direction}`,
          })),
          backwardMs,
        ),
      ],
    ),
    '',
    'oneDNN, forward and backward, in its own words:',
    '',
    ...markdownTable(
      ['primitive', 'ms a step', 'share', 'calls a step'],
      primitives
        .filter(({ ms }) => ms >= smallestShare * totalMs)
        .map((time) => row(`${time.name} ${time.direction}`, time.ms, time.calls)),
    ),
  ].join('\n');
}
