/** A contestant for each PyTorch that is compared with, in the place of the one that a case names. */
import type { BenchCase, Contestant } from './cases.ts';
import type { PyTorch } from './python.ts';

/** Whether `torch.compile` can do a contestant's work: it cannot differentiate twice, and losses alone have no network. */
function canCompile({ work }: Contestant): boolean {
  return (
    (work.kind === 'step' && !work.metaStep) || work.kind === 'evaluation' || work.kind === 'single-image'
  );
}

/** One for every Python that has torchdistill; without any it stays as it is, to be missed in the results. */
function withTorchdistill(contestant: Contestant, references: readonly PyTorch[]): Contestant[] {
  const able = references.filter(({ torchdistill }) => torchdistill !== null);
  if (able.length === 0) return [contestant];
  return able.map((pytorch) => ({
    ...contestant,
    name: `torchdistill ${pytorch.torchdistill ?? ''} on ${nameOf(pytorch, references)} ${contestant.precision}`,
    pytorch,
  }));
}

/** Version numbers, with the path of the Python where two have the same. */
function nameOf(pytorch: PyTorch, all: readonly PyTorch[]): string {
  const isAlone = all.filter(({ version }) => version === pytorch.version).length === 1;
  return `PyTorch ${pytorch.version}${isAlone ? '' : ` of ${pytorch.python}`}`;
}

/**
 * The case with every reference in each of its forms; as it is without references, whose absence it then tells.
 *
 * @param compiles whether networks are measured under `torch.compile` too, where the version has it
 */
export function withReferences(
  benchCase: BenchCase,
  references: readonly PyTorch[],
  compiles: boolean,
): BenchCase {
  if (references.length === 0) return benchCase;
  const contestants = benchCase.contestants.flatMap((contestant): Contestant[] => {
    if (contestant.program === 'torchdistill') return withTorchdistill(contestant, references);
    if (contestant.program !== 'pytorch') return [contestant];
    return references.flatMap((pytorch) => {
      const eager = {
        ...contestant,
        name: `${nameOf(pytorch, references)} ${contestant.precision}`,
        pytorch,
      };
      if (!compiles || !pytorch.canCompile || !canCompile(contestant)) return [eager];
      return [eager, { ...eager, name: `${eager.name}, compiled`, compiles: true }];
    });
  });
  return { ...benchCase, contestants };
}
