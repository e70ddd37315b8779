/**
 * What was found of this machine's arithmetic, kept in the user's cache folder so that it is looked at once for each engine,
 * library and processor. A file that is damaged, or cannot be read or written, costs a new look and nothing else.
 */
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { cohortCacheFolder } from '../setup/engineCache.ts';
import { makeFolders } from '../setup/makeFolders.ts';

/** What one look found. */
export interface StoredVerdicts {
  /** Verdicts of the native side on convolutions, in its own notation. */
  readonly convolutions: string;
  /** Sentences on products and normalisations that are wrong; none where all is right. */
  readonly faults: readonly string[];
}

/** Variables that choose other kernels. */
const deciding =
  /^(COHORT_(KERNELS|CONVOLUTION)|ATEN_CPU_CAPABILITY|(ONE)?DNNL?_.*|MKL_.*|OPENBLAS_CORETYPE)$/;

/** Libraries of this process that compute, with size and time, since a system's update changes them under the same version. */
function computingLibraries(): string[] {
  try {
    const paths = readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .map((line) => line.slice(line.indexOf('/')))
      .filter((path) => /(torch|dnnl|blas|mkl|lapack|cohort_torch)[^/]*\.(so|node)/i.test(path));
    return [...new Set(paths)].sort().map((path) => {
      const { size, mtimeMs } = statSync(path);
      return `${path} ${size} ${mtimeMs}`;
    });
  } catch {
    return [];
  }
}

/** The file for the engine that is open now. @param config LibTorch's description of itself */
export function verdictPath(config: string): string {
  const variables = Object.keys(process.env)
    .filter((name) => deciding.test(name))
    .sort()
    .map((name) => `${name}=${process.env[name] ?? ''}`);
  const facts = [config, cpus()[0]?.model ?? '', process.arch, ...computingLibraries(), ...variables];
  const digest = createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 16);
  return join(cohortCacheFolder(), 'arithmetic', `${digest}.json`);
}

/** What the file holds; null where there is none, or where it is not one of ours. */
export function readVerdicts(path: string): StoredVerdicts | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    const { convolutions, faults, digest } = value as Record<string, unknown>;
    if (typeof convolutions !== 'string' || !Array.isArray(faults)) return null;
    const sentences = faults.filter((fault): fault is string => typeof fault === 'string');
    return digest === digestOf(convolutions, sentences) ? { convolutions, faults: sentences } : null;
  } catch {
    return null;
  }
}

function digestOf(convolutions: string, faults: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([convolutions, faults]))
    .digest('hex');
}

/** Writes the file, whole or not at all; returns whether it could. */
export function writeVerdicts(path: string, { convolutions, faults }: StoredVerdicts): boolean {
  const partial = `${path}.${process.pid}.partial`;
  try {
    makeFolders(dirname(path));
    writeFileSync(partial, JSON.stringify({ convolutions, faults, digest: digestOf(convolutions, faults) }));
    renameSync(partial, path);
    return true;
  } catch {
    try {
      rmSync(partial, { force: true });
    } catch {
      // Its folder is no folder.
    }
    return false;
  }
}
