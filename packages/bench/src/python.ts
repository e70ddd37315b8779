/** Finds PyTorch, which benchmarks compare with where it is installed, and the reference programs of the repository. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where PyTorch is, or why there is none to compare with. */
export type PyTorchSearch =
  | { readonly python: string; readonly version: string; readonly program: string }
  | { readonly absent: string };

/** The PyTorch side's program. Four folders up from `src/bench` as from `dist/bench`. */
function referenceProgram(): string {
  return fileURLToPath(new URL('../../../benchmarks/reference/serve.py', import.meta.url));
}

/**
 * Looks for a Python that can import torch.
 *
 * @param variables `PYTHON` names one; else Debian's, then the first in the path
 */
export function findPyTorch(variables: Readonly<Record<string, string | undefined>>): PyTorchSearch {
  const program = referenceProgram();
  if (!existsSync(program)) return { absent: `its side of the benchmark is not here (${program})` };
  const { PYTHON } = variables;
  const candidates = PYTHON === undefined || PYTHON === '' ? ['/usr/bin/python3', 'python3'] : [PYTHON];
  for (const python of candidates) {
    const { status, stdout } = spawnSync(python, ['-c', 'import torch; print(torch.__version__)'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    if (status === 0) return { python, version: stdout.trim(), program };
  }
  return {
    absent: `${candidates.join(' and ')} cannot import torch (Debian: apt-get install python3-torch; PYTHON names another)`,
  };
}
