/** What a run was made on: versions, processor, threads and the commit, so that its numbers can be explained later. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setThreads, type EngineInfo } from '@cohort-ml/torch';
import type { ResolvedRecipe } from '../recipes/index.ts';
import type { DeviceDescription } from './device.ts';
import type { Reporter } from '../progress/reporter.ts';

/** Facts of this machine and this code. */
export interface MachineDescription {
  readonly [name: string]: string | number | boolean | null;
  readonly node: string;
  readonly libtorch: string;
  readonly cpu: string;
  readonly cores: number;
  readonly threads: number;
  readonly cpuCapability: string;
  readonly memoryBytes: number;
  /** `cpu`, or `cuda:` and the number of a card; then its name, driver and memory follow. */
  readonly device: string;
  /** Commit of the code; null outside a git checkout. */
  readonly gitCommit: string | null;
}

/**
 * Gives LibTorch the threads that the recipe asks for, but one per core at most: more wait for each other, and a recipe
 * that was written on a larger machine would seem to hang on this one.
 */
export function applyThreads(recipe: ResolvedRecipe, reporter: Pick<Reporter, 'warning'>): void {
  const { threads } = recipe.engine;
  if (threads === null) return;
  const cores = availableParallelism();
  if (threads > cores) {
    reporter.warning(`engine.threads is ${threads}, but there are ${cores} cores here: using ${cores}.`);
  }
  setThreads(Math.min(threads, cores));
}

/** Collects them. */
export function describeMachine(engine: EngineInfo, device: DeviceDescription): MachineDescription {
  return {
    node: process.version,
    libtorch: engine.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    threads: engine.threads,
    cpuCapability: engine.cpuCapability,
    memoryBytes: totalmem(),
    ...device,
    gitCommit: gitCommit(),
  };
}

/** Commit of the code; null outside a git checkout. */
export function gitCommit(): string | null {
  try {
    const folder = fileURLToPath(new URL('.', import.meta.url));
    return execFileSync('git', ['rev-parse', 'HEAD'], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}
