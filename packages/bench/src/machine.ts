/** What a benchmark ran on: without it, its numbers mean nothing. */
import { cpus, release, totalmem, type } from 'node:os';
import { processorFlags } from 'cohort-ml/internal';
import { gitCommit } from 'cohort-ml/internal';

/** Facts of the machine and the code; nothing that names the machine or its user. */
export interface BenchMachine {
  readonly cpu: string;
  readonly cores: number;
  /** Vector and matrix extensions that LibTorch and oneDNN can make use of. */
  readonly flags: readonly string[];
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly libtorch: string;
  /** Of every PyTorch that was compared with. */
  readonly pytorch: readonly string[];
  /** Null outside a git checkout. */
  readonly gitCommit: string | null;
}

const telling = /^(avx|avx2|fma|f16c|avx512\w*|avx_vnni|amx_\w+|neon|asimd|bf16|sve\w*)$/;

/** Collects them. */
export function describeBenchMachine(versions: {
  libtorch: string;
  pytorch: readonly string[];
}): BenchMachine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    flags: processorFlags().filter((flag) => telling.test(flag)),
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: process.version,
    libtorch: versions.libtorch,
    pytorch: versions.pytorch,
    gitCommit: gitCommit(),
  };
}

/** A file's name for results of this machine on this day, without an ending. */
export function resultName(date: string, { cpu, cores }: Pick<BenchMachine, 'cpu' | 'cores'>): string {
  const slug = cpu
    .toLowerCase()
    .replace(/\([^)]*\)|@.*$/g, ' ')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return `${date.slice(0, 10)}-${slug === '' ? 'unknown' : slug}-${cores}-cores`;
}
