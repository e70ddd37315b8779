/** Finds the PyTorches that benchmarks compare with, and the reference programs of the repository. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BenchError } from './errors.ts';

/** One PyTorch. */
export interface PyTorch {
  readonly python: string;
  readonly version: string;
  /** Whether it has `torch.compile`. */
  readonly canCompile: boolean;
  /** Version of torchdistill beside it; null without. */
  readonly torchdistill: string | null;
}

/** Where PyTorch is; or why there is none to compare with. */
export interface PyTorchSearch {
  readonly found: readonly PyTorch[];
  /** Null where at least one is found. */
  readonly absent: string | null;
}

/** The PyTorch side's program. Four folders up from `src/bench` as from `dist/bench`. */
export function referenceProgram(): string {
  return fileURLToPath(new URL('../../../benchmarks/reference/serve.py', import.meta.url));
}

function ask(python: string): PyTorch | null {
  const question = [
    'import torch',
    'from importlib.metadata import PackageNotFoundError, version',
    'try: other = version("torchdistill")',
    'except PackageNotFoundError: other = "none"',
    'print(torch.__version__, hasattr(torch, "compile"), other)',
  ].join('\n');
  const { status, stdout } = spawnSync(python, ['-c', question], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (status !== 0) return null;
  const [version = '', canCompile, torchdistill = 'none'] = stdout.trim().split(' ');
  return {
    python,
    version,
    canCompile: canCompile === 'True',
    torchdistill: torchdistill === 'none' ? null : torchdistill,
  };
}

/**
 * Looks for a Python that can import torch.
 *
 * @param variables `PYTHON` names one; else Debian's, then the first in the path
 * @param named Pythons that must be able to, in the place of the search
 * @throws {BenchError} for a named one that cannot.
 */
export function findPyTorch(
  variables: Readonly<Record<string, string | undefined>>,
  named: readonly string[] = [],
): PyTorchSearch {
  const program = referenceProgram();
  if (!existsSync(program))
    return { found: [], absent: `its side of the benchmark is not here (${program})` };
  if (named.length > 0) {
    return { found: [...new Set(named)].map((python) => ask(python) ?? refuse(python)), absent: null };
  }
  const { PYTHON } = variables;
  const candidates = PYTHON === undefined || PYTHON === '' ? ['/usr/bin/python3', 'python3'] : [PYTHON];
  for (const python of candidates) {
    const found = ask(python);
    if (found !== null) return { found: [found], absent: null };
  }
  return {
    found: [],
    absent: `${candidates.join(' and ')} cannot import torch (Debian: apt-get install python3-torch; --reference names another)`,
  };
}

function refuse(python: string): never {
  throw new BenchError(
    'benchmark',
    'a Python that can import torch',
    `'${python}'`,
    `Try ${python} -c "import torch"; --reference takes the path of a python program.`,
  );
}
