/** `cohort doctor`: looks at everything that speed and success depend on here, and says what to improve. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { errorText } from '@cohort-ml/errors';
import type { CudaDevice, EngineInfo } from '@cohort-ml/torch';
import { setupCommand } from '@cohort-ml/torch/setup';
import { listDatasets } from '../data/listDatasets.ts';
import { mostAtOnce } from '../cohort/networksAtOnce.ts';

/** One thing that the doctor looked at. */
export interface DiagnosisCheck {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly value: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** What the doctor found. */
export interface Diagnosis {
  readonly checks: readonly DiagnosisCheck[];
}

/** Vector extensions that LibTorch and oneDNN make use of, weakest first. */
const vectorExtensions = ['avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'];

/** Looks at Node, LibTorch, processor, threads, BLAS, memory pages, CUDA and the datasets. */
export async function diagnose(): Promise<Diagnosis> {
  const checks: DiagnosisCheck[] = [checkNode()];
  try {
    const torch = await import('@cohort-ml/torch');
    checks.push(...checkEngine(torch.engineInfo(), torch.cudaDevices()));
  } catch (error) {
    checks.push({
      name: 'LibTorch',
      status: 'fail',
      value: errorText(error),
      advice: `Run "${setupCommand()}"; it finds LibTorch and builds the engine.`,
    });
  }
  checks.push(checkProcessor(), checkHugePages(), ...(await checkDatasets()));
  return { checks };
}

function checkNode(): DiagnosisCheck {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isOld = major < 20 || (major === 20 && minor < 12);
  return {
    name: 'Node.js',
    status: isOld ? 'fail' : 'ok',
    value: process.version,
    ...(isOld ? { advice: 'Install Node.js 20.12 or newer.' } : {}),
  };
}

function checkEngine(info: EngineInfo, devices: readonly CudaDevice[]): DiagnosisCheck[] {
  const libraries = loadedLibraries();
  const isScalar = ['DEFAULT', 'NO AVX'].includes(info.cpuCapability);
  const torchPath = libraries.find((path) => path.includes('libtorch_cpu.')) ?? 'path unknown on this system';
  return [
    { name: 'LibTorch', status: 'ok', value: `${info.version}, ${torchPath}` },
    { name: 'engine', status: 'ok', value: info.addonPath },
    {
      name: 'vector kernels',
      status: isScalar ? 'warn' : 'ok',
      value: `${info.cpuCapability}${overriddenBy('ATEN_CPU_CAPABILITY')}`,
      ...(isScalar ? { advice: 'Unset ATEN_CPU_CAPABILITY to use vector instructions.' } : {}),
    },
    checkKernels(info),
    checkConvolutions(info),
    checkArithmetic(info),
    checkThreads(info.threads),
    checkNetworksAtOnce(info.threads),
    checkRepeatability(info.threads),
    checkBfloat16(info),
    checkBlas(libraries, info.config),
    info.onednn
      ? { name: 'oneDNN', status: 'ok', value: /MKL-DNN (v[\d.]+)/.exec(info.config)?.[1] ?? 'yes' }
      : {
          name: 'oneDNN',
          status: 'warn',
          value: 'no',
          advice: 'Use a LibTorch built with oneDNN: convolutions are several times slower without.',
        },
    info.cachingAllocator
      ? { name: 'allocator', status: 'ok', value: `caching, huge pages${overriddenBy('COHORT_ALLOCATOR')}` }
      : {
          name: 'allocator',
          status: 'warn',
          value: 'system',
          advice: 'Unset COHORT_ALLOCATOR to use the caching allocator.',
        },
    checkDevices(info, devices),
  ];
}

/** Graphics cards with driver and memory, or why none is used. */
export function checkDevices(
  { cuda }: Pick<EngineInfo, 'cuda'>,
  devices: readonly CudaDevice[],
): DiagnosisCheck {
  const name = 'CUDA';
  if (!cuda) return { name, status: 'ok', value: 'not in this LibTorch; training runs on the CPU' };
  if (devices.length === 0) {
    return {
      name,
      status: 'warn',
      value: 'in this LibTorch, but no graphics card was found; training runs on the CPU',
      advice: 'If there is one: check that nvidia-smi lists it, and that its driver suits this LibTorch.',
    };
  }
  const described = devices.map(({ device, name: card, driver, memoryBytes }) => {
    const memory = memoryBytes === null ? '' : `, ${Math.round(memoryBytes / 2 ** 30)} GiB`;
    return `${device}: ${card}${memory}, driver ${driver}`;
  });
  return { name, status: 'ok', value: `${described.join('; ')} (train.device)` };
}

/** How a value can be set to another, or by what it was. */
function overriddenBy(variable: string): string {
  const value = process.env[variable];
  return value === undefined || value === '' ? ` (override: ${variable})` : ` (${variable}=${value})`;
}

/** Networks of a pair that are differentiated at the same time. */
function checkNetworksAtOnce(threads: number): DiagnosisCheck {
  const count = mostAtOnce(2, threads);
  const how = count === 1 ? 'one after the other' : `${count} at the same time`;
  return {
    name: 'two networks',
    status: 'ok',
    value: `differentiated ${how} (override: train.networksAtOnce)`,
  };
}

/** What a run promises, for those who compare runs. */
function checkRepeatability(threads: number): DiagnosisCheck {
  return {
    name: 'repeatability',
    status: 'ok',
    value: `runs of one seed are the same to the last bit with ${threads} ${threads === 1 ? 'thread' : 'threads'} here`,
  };
}

/** Without instructions of its own, bfloat16 is converted back and forth. */
function checkBfloat16({ kernels }: EngineInfo): DiagnosisCheck {
  const found = processorFlags().filter((flag) => ['avx512_bf16', 'amx_bf16'].includes(flag));
  const value =
    found.length === 0
      ? 'no instructions for it; train.precision: bfloat16 is no faster here'
      : `${found.join(', ')}; weight gradients by ${kernels === 'avx512bf16' ? 'own kernels' : 'oneDNN'} (train.precision: bfloat16)`;
  return { name: 'bfloat16', status: 'ok', value };
}

/** Our own kernels: fused batch normalisation, addition and ReLU. */
function checkKernels({ kernels, kernelThreads, threads }: EngineInfo): DiagnosisCheck {
  const name = 'fused kernels';
  if (kernels === 'aten') {
    return {
      name,
      status: 'warn',
      value: "off, ATen's operators instead",
      advice: 'Unset COHORT_KERNELS to use the fused kernels.',
    };
  }
  return kernelThreads || threads === 1
    ? { name, status: 'ok', value: `${kernels}${overriddenBy('COHORT_KERNELS')}` }
    : {
        name,
        status: 'warn',
        value: `${kernels}, one thread`,
        advice: `Build with a compiler that has OpenMP, e.g. CXX=g++ ${setupCommand()}, or set COHORT_KERNELS=aten.`,
      };
}

/** What most of a step's time goes into. */
function checkConvolutions({ convolution }: EngineInfo): DiagnosisCheck {
  const how =
    convolution === 'winograd'
      ? 'own kernels after Winograd for 3x3 with stride 1 and channels in sixteens, else oneDNN'
      : 'oneDNN';
  return { name: 'convolutions', status: 'ok', value: `${how}${overriddenBy('COHORT_CONVOLUTION')}` };
}

/** Whether what was computed agrees with float64, and what is done where it does not. */
export function checkArithmetic({
  arithmetic,
  version,
}: Pick<EngineInfo, 'arithmetic' | 'version'>): DiagnosisCheck {
  const name = 'arithmetic';
  const { convolutions, detours, faults } = arithmetic;
  if (faults.length > 0) {
    return {
      name,
      status: 'fail',
      value: `LibTorch ${version} computes wrongly here: ${faults.join('; ')}`,
      advice: 'Training is refused. Use another LibTorch; docs/engine.md lists those that were tested.',
    };
  }
  if (detours.length === 0) {
    return { name, status: 'ok', value: `${convolutions} kinds of convolution agree with float64` };
  }
  const shown = detours
    .slice(0, 3)
    .map(({ what, error, route }) => `${what} (off by ${(error * 100).toPrecision(2)} %, taken: ${route})`);
  const more = detours.length > shown.length ? `; and ${detours.length - shown.length} more` : '';
  return {
    name,
    status: 'warn',
    value: `${detours.length} of ${convolutions} kinds of convolution are wrong in LibTorch ${version} and computed another way: ${shown.join('; ')}${more}`,
    advice: 'Results are right, but these convolutions are slower. Another LibTorch may not need it.',
  };
}

function checkThreads(threads: number): DiagnosisCheck {
  const cores = availableParallelism();
  if (threads === cores)
    return {
      name: 'threads',
      status: 'ok',
      value: `${threads} of ${cores} cores${overriddenBy('OMP_NUM_THREADS')}`,
    };
  const advice =
    threads < cores
      ? 'Unset OMP_NUM_THREADS, or set engine.threads in the recipe, to use every core.'
      : 'Set OMP_NUM_THREADS to the number of cores: more threads than cores wait for each other.';
  return { name: 'threads', status: 'warn', value: `${threads} of ${cores} cores`, advice };
}

/** Shared libraries of this process; empty where the system does not list them. */
function loadedLibraries(): string[] {
  try {
    const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
    return [
      ...new Set(lines.map((line) => line.slice(line.indexOf('/'))).filter((path) => path.includes('.so'))),
    ];
  } catch {
    return [];
  }
}

function checkBlas(libraries: readonly string[], config: string): DiagnosisCheck {
  const path = libraries.find((library) => /openblas|libmkl|libblis|libblas\.|Accelerate/.test(library));
  if (path === undefined) {
    return {
      name: 'BLAS',
      status: 'ok',
      value: /BLAS_INFO=(\w+)/.exec(config)?.[1] ?? 'built into LibTorch',
    };
  }
  const isReference = /\/blas\/|libblas\.so/.test(path) && !/openblas|mkl|blis/.test(path);
  return isReference
    ? {
        name: 'BLAS',
        status: 'warn',
        value: `reference implementation, ${path}`,
        advice: 'It is very slow. Run: apt-get install libopenblas0-openmp',
      }
    : { name: 'BLAS', status: 'ok', value: path };
}

function checkProcessor(): DiagnosisCheck {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  const flags = processorFlags();
  const known = vectorExtensions.filter((extension) => flags.includes(extension));
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return {
    name: 'processor',
    status: 'ok',
    value: `${model}, ${memory}${known.length > 0 ? `, ${known.join(' ')}` : ''}`,
  };
}

/** Names of the processor's extensions, as the system lists them; none where it does not. */
export function processorFlags(): string[] {
  try {
    if (process.platform === 'darwin') {
      const options = { encoding: 'utf8' } as const;
      return execFileSync('sysctl', ['-n', 'machdep.cpu.features'], options).toLowerCase().split(/\s+/);
    }
    return /^flags\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
  } catch {
    return [];
  }
}

function checkHugePages(): DiagnosisCheck {
  try {
    const text = readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8');
    const mode = /\[(\w+)\]/.exec(text)?.[1] ?? 'unknown';
    return mode === 'never'
      ? {
          name: 'huge pages',
          status: 'warn',
          value: mode,
          advice:
            'As root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (steps are then about 10% faster).',
        }
      : { name: 'huge pages', status: 'ok', value: mode };
  } catch {
    return { name: 'huge pages', status: 'ok', value: 'not known on this system' };
  }
}

async function checkDatasets(): Promise<DiagnosisCheck[]> {
  const found = (await listDatasets()).filter(({ path }) => path !== null).map(({ name }) => name);
  return found.length > 0
    ? [{ name: 'datasets', status: 'ok', value: `${found.join(', ')}; all: cohort data list` }]
    : [{ name: 'datasets', status: 'warn', value: 'none found', advice: 'See cohort data list.' }];
}
