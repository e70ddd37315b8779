/** Starts the programs of a case: where they are, what they are told, and the files that they need. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchCase, Contestant } from './cases.ts';
import { Program } from './contestant.ts';
import { BenchError } from './errors.ts';
import { referenceProgram, type PyTorchSearch } from './python.ts';
import type { Work, WorkSpec } from './work.ts';

/** Classes of made-up labels; CIFAR-100 has as many. */
const classes = 100;

/** What all programs of one benchmark are started with. */
export interface Stage {
  readonly threads: number;
  /** What both sides compute on: cpu, cuda or cuda:N; the processor unless given. */
  readonly device?: string | undefined;
  readonly pytorch: PyTorchSearch;
  /** Whether PyTorch is measured under `torch.compile` too. */
  readonly compiles: boolean;
  readonly signal: AbortSignal;
  /** Temporary folder of the benchmark. */
  readonly folder: string;
}

/** The compiled program beside this file. */
const workerProgram = fileURLToPath(new URL('./worker.js', import.meta.url));

/**
 * Starts a contestant; `about` is then to be awaited.
 *
 * @param paths image files of the case
 * @param variables for its environment
 * @throws {BenchError} for a PyTorch that there is not.
 */
export function startProgram(
  {
    name,
    program,
    precision,
    work,
    pytorch: reference,
    compiles = false,
  }: Pick<Contestant, 'name' | 'program' | 'precision' | 'work' | 'pytorch' | 'compiles'>,
  { threads, device = 'cpu', pytorch, signal, folder }: Stage,
  paths: readonly string[] = [],
  variables: Readonly<Record<string, string>> = {},
): Program {
  const own = join(folder, name.replace(/\W+/g, '-'));
  mkdirSync(own, { recursive: true });
  const place = work.kind === 'photos' ? folder : own;
  const usesOnnxRuntime = program === 'onnxruntime';
  const spec: WorkSpec = {
    ...work,
    precision,
    classes,
    threads,
    device,
    folder: place,
    paths,
    compiles,
    usesOnnxRuntime,
    usesTorchdistill: program === 'torchdistill',
  };
  const all = { OMP_NUM_THREADS: `${threads}`, ...variables };
  if (program !== 'pytorch' && program !== 'torchdistill') {
    const args = [workerProgram, JSON.stringify(spec)];
    return new Program(name, { command: process.execPath, args, variables: all, signal });
  }
  const { python } = reference ?? pytorch.found[0] ?? {};
  if (python === undefined) throw new BenchError(name, 'PyTorch', 'none', `${pytorch.absent ?? 'none'}.`);
  const args = [referenceProgram(), JSON.stringify(spec)];
  return new Program(name, { command: python, args, variables: all, signal });
}

/** Makes the image files that a case reads; none for most. */
export async function imageFilesOf({ contestants }: BenchCase, { folder, signal }: Stage): Promise<string[]> {
  const work: Work | undefined = contestants[0]?.work;
  // sharp takes a while to load, and only these need it.
  if (work?.kind === 'photos') return (await import('./images.ts')).writePhotos(folder, work.images, signal);
  if (work?.kind === 'prediction') return (await import('./images.ts')).writeIcons(folder, work.images);
  return [];
}
