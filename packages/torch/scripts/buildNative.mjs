/** Builds the native addon with make and then the operators' TypeScript types from its schemas; quiet when up to date. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findLibTorch, LibTorchNotFoundError } from './findLibTorch.mjs';
import { generateOperatorTypes } from './generateOperators.mjs';
import { removeStaleObjects } from './staleObjects.mjs';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const nativeFolder = join(packageFolder, 'native');
const ownBuildFolder = join(packageFolder, 'build');
const typesPath = join(packageFolder, 'src', 'generated', 'operators.ts');

/** Paths with spaces reach the compiler whole: make passes the flags through a shell. */
const quote = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** "1.13.1" becomes 11301, for the preprocessor. */
function versionNumber(version) {
  const [major, minor, patch] = version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  return major * 10_000 + minor * 100 + patch;
}

/** Debian's LibTorch takes oneDNN from the system: with its headers, convolutions can be given more to do in one pass. */
function onednnFlags({ source, root }) {
  const isThere = source === 'system' && root === '/usr' && hasOneDnn2();
  return isThere
    ? { ONEDNN_CFLAGS: '-DCOHORT_ONEDNN', ONEDNN_LDFLAGS: '-ldnnl' }
    : { ONEDNN_CFLAGS: '', ONEDNN_LDFLAGS: '' };
}

/**
 * Flags for torch.distributed, where LibTorch has its headers and its library has Gloo; the few headers of Gloo itself that
 * are named there have stand-ins, since official builds of LibTorch come without them.
 */
function distributedFlags(torch) {
  const has = (path) => torch.includeDirs.some((folder) => existsSync(join(folder, path)));
  const c10d = 'torch/csrc/distributed/c10d';
  if (!has(`${c10d}/ProcessGroupGloo.hpp`) || !has(`${c10d}/TCPStore.hpp`) || !exportsGloo(torch)) {
    return { DISTRIBUTED_CFLAGS: '' };
  }
  const headers = join(nativeFolder, 'distributed', 'gloo-headers');
  const nccl = torch.cuda === true && has(`${c10d}/ProcessGroupNCCL.hpp`) ? ncclHeaders(torch) : null;
  return {
    DISTRIBUTED_CFLAGS: [
      '-DCOHORT_GLOO',
      ...(has('gloo/context.h') ? [] : [`-isystem ${quote(headers)}`]),
      ...(nccl === null ? [] : ['-DCOHORT_NCCL', ...nccl.map((folder) => `-isystem ${quote(folder)}`)]),
    ].join(' '),
  };
}

/** Folders with the headers of NCCL and CUDA: the system's, or those of PyPI's packages beside torch; null without. */
function ncclHeaders({ root }) {
  const packages = ['nccl', 'cuda_runtime', 'cu12', 'cu13'].map((name) =>
    join(root, '..', 'nvidia', name, 'include'),
  );
  const places = ['/usr/local/cuda/include', '/usr/include', ...packages];
  const nccl = places.find((folder) => existsSync(join(folder, 'nccl.h')));
  const cuda = places.find((folder) => existsSync(join(folder, 'crt/host_config.h')));
  if (nccl === undefined || cuda === undefined) return null;
  return [...new Set([nccl, cuda])].filter((folder) => folder !== '/usr/include');
}

/** Whether LibTorch's library was built with Gloo: an engine that needs a class which is not there could not be loaded. */
function exportsGloo(torch) {
  const text = 'extern char found __asm__("_ZTVN4c10d16ProcessGroupGlooE"); char* use() { return &found; }';
  const { status } = spawnSync(
    process.env.CXX ?? 'c++',
    [
      '-shared',
      '-fPIC',
      '-x',
      'c++',
      '-',
      '-o',
      '/dev/null',
      '-Wl,--no-undefined',
      '-Wl,--allow-shlib-undefined',
    ]
      .concat(torch.libDirs.map((folder) => `-L${folder}`))
      .concat(torch.libraries.map((library) => `-l${library}`)),
    { input: text, stdio: ['pipe', 'ignore', 'ignore'] },
  );
  return status === 0;
}

/** Version 3 describes convolutions by other classes. */
function hasOneDnn2() {
  const header = '/usr/include/oneapi/dnnl/dnnl_version.h';
  return existsSync(header) && /DNNL_VERSION_MAJOR\s+2\b/.test(readFileSync(header, 'utf8'));
}

/** They come with npm's packages. */
function nodeFlags() {
  const headers = dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json'));
  return { NODE_CFLAGS: `-isystem ${quote(join(headers, 'include'))}` };
}

function flagsFor(torch) {
  const isMac = process.platform === 'darwin';
  return {
    // The compiler knows /usr/include already, and breaks when it is named as a system folder once more.
    TORCH_CFLAGS: [
      ...torch.includeDirs
        .filter((folder) => folder !== '/usr/include')
        .map((folder) => `-isystem ${quote(folder)}`),
      `-DCOHORT_TORCH_VERSION=${versionNumber(torch.version)}`,
      `-D_GLIBCXX_USE_CXX11_ABI=${torch.cxx11Abi === false ? 0 : 1}`,
    ].join(' '),
    TORCH_LDFLAGS: [
      ...torch.libDirs.map((folder) => `-L${quote(folder)}`),
      ...(torch.rpath ? [`-Wl,-rpath,${quote(torch.rpath)}`] : []),
      // LibTorch registers its operators when it is loaded: the linker must not drop it as unused.
      ...(isMac ? ['-undefined dynamic_lookup'] : ['-Wl,--no-as-needed']),
      ...torch.libraries.map((library) => `-l${library}`),
    ].join(' '),
    LANGUAGE_STANDARD: versionNumber(torch.version) >= 21_000 ? 'c++20' : 'c++17',
  };
}

function writeIfChanged(path, text) {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return false;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return true;
}

/**
 * The folder of the objects that know nothing of LibTorch, for this compiler and these flags; engines for several LibTorches
 * share it.
 */
function kernelFolder() {
  const compiler = process.env.CXX ?? 'c++';
  const facts = ['--version', '-dumpmachine'].map(
    (flag) => spawnSync(compiler, [flag], { encoding: 'utf8' }).stdout,
  );
  const text = [compiler, ...facts, process.env.CXXFLAGS ?? ''].join('\n');
  const folder = join(
    ownBuildFolder,
    `kernels-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`,
  );
  // The flags of the kernels stand in the Makefile: a change there is a change of what they are compiled with.
  const makefile = readFileSync(join(nativeFolder, 'Makefile'), 'utf8');
  writeIfChanged(
    join(folder, 'compiler'),
    `${text}\n${/^# Kernels share[\s\S]*?^FOLDERS/m.exec(makefile)?.[0] ?? makefile}`,
  );
  return folder;
}

/** LibTorch's headers say in a thousand lines what a compiler that is too old lacks; this says it in two. */
function assertCompiler(torch, standard) {
  const compiler = process.env.CXX ?? 'c++';
  const { status } = spawnSync(compiler, [`-std=${standard}`, '-fsyntax-only', '-x', 'c++', '-'], {
    input: 'int main() { return 0; }',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  if (status === 0) return;
  const came = spawnSync(compiler, ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0] ?? 'none';
  throw new NativeBuildError(
    [
      `LibTorch ${torch.version} in ${torch.root} needs a compiler for ${standard.replace('c', 'C')}.`,
      `Expected: a compiler that takes -std=${standard} (GCC 11 or clang 12 do), got: ${came}.`,
      'Install a newer one and name it, e.g. CXX=g++-12 npm run setup, or use an older LibTorch (LIBTORCH).',
    ].join('\n'),
  );
}

const makeArguments = (buildFolder, kernels, ...rest) => [
  '-s',
  '-C',
  nativeFolder,
  // Relative to the Makefile: make takes no absolute targets with spaces.
  `BUILD=${relative(nativeFolder, buildFolder)}`,
  `KERNEL_BUILD=${relative(nativeFolder, kernels)}`,
  ...rest,
];
const jobs = `-j${availableParallelism()}`;

/** Writes what the unit of kernels is compiled with where that has changed, and returns it. */
function kernelVariables(torch, buildFolder) {
  const flags = flagsFor(torch);
  // What the Makefile adds to the flags counts too; its rules may change without anything being compiled anew.
  const own = readFileSync(join(nativeFolder, 'Makefile'), 'utf8').match(/^(CXXFLAGS|HOST_FLAGS) .*/gm);
  writeIfChanged(join(buildFolder, 'flags'), JSON.stringify({ torch, flags, own }, null, 2));
  const onednn = onednnFlags(torch);
  writeIfChanged(join(buildFolder, 'onednn'), JSON.stringify(onednn));
  return { ...flags, ...onednn };
}

/**
 * Compiles what needs none of npm's packages, so that it can be done while those are fetched: without a LibTorch, which may have
 * yet to be installed, only the kernels. What fails here fails again, in words, when all is built.
 */
function compileEarly(environment) {
  let variables;
  try {
    variables = kernelVariables(findLibTorch(environment), ownBuildFolder);
  } catch (error) {
    if (!(error instanceof LibTorchNotFoundError)) throw error;
  }
  const targets = variables === undefined ? ['kernels'] : ['kernel-unit', 'kernels'];
  spawnSync('make', makeArguments(ownBuildFolder, kernelFolder(), jobs, ...targets), {
    env: { ...environment, ...variables },
  });
}

/**
 * Builds what is out of date.
 *
 * @param buildFolder where the addon for this LibTorch goes; the types of operators are made for the usual folder only
 * @param isRest compiles only what is not compiled early, and links nothing
 * @returns the path of the addon
 */
export function buildNative(environment = process.env, buildFolder = ownBuildFolder, isRest = false) {
  const torch = findLibTorch(environment);
  const hasBegun = existsSync(join(buildFolder, 'flags'));
  const node = nodeFlags();
  const distributed = distributedFlags(torch);
  const variables = { ...environment, ...kernelVariables(torch, buildFolder), ...node, ...distributed };
  writeIfChanged(join(buildFolder, 'node'), JSON.stringify(node));
  writeIfChanged(join(buildFolder, 'process-groups'), JSON.stringify(distributed));
  const addonPath = join(buildFolder, 'cohort_torch.node');
  const kernels = kernelFolder();
  for (const folder of [buildFolder, kernels]) removeStaleObjects(folder, nativeFolder);
  const make = (...rest) => makeArguments(buildFolder, kernels, ...rest);
  const isBuilt = (...target) => spawnSync('make', make('-q', ...target), { env: variables }).status === 0;
  const target = isRest ? [hasBegun ? 'binding' : 'units'] : [];
  const upToDate = isBuilt(...target);
  if (!upToDate) {
    if (!isBuilt(isRest ? 'binding' : 'units')) {
      console.log(
        `building the native engine against LibTorch ${torch.version} (${torch.source}: ${torch.root})`,
      );
    }
    assertCompiler(torch, variables.LANGUAGE_STANDARD);
    const result = spawnSync('make', make(jobs, ...target), {
      env: variables,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (result.status !== 0) {
      throw new NativeBuildError(
        `${result.stdout}${result.stderr}\nThe native engine did not build against LibTorch ${torch.version} in ${torch.root}; the compiler's output is above.`,
      );
    }
  }
  if (!isRest && buildFolder === ownBuildFolder && (!upToDate || !existsSync(typesPath))) {
    // A process of its own: a broken addon must not take the build script down without a word.
    const schemas = execFileSync(
      process.execPath,
      ['-e', `process.stdout.write(require(${JSON.stringify(addonPath)}).listSchemas())`],
      { encoding: 'utf8', maxBuffer: 1 << 26 },
    );
    writeIfChanged(typesPath, generateOperatorTypes(schemas, torch.version));
  }
  return addonPath;
}

/** The compiler refused; the message holds its words. */
export class NativeBuildError extends Error {
  name = 'NativeBuildError';
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    if (process.argv[2] === '--early') compileEarly(process.env);
    else buildNative(process.env, ownBuildFolder, process.argv[2] === '--rest');
  } catch (error) {
    if (!(error instanceof LibTorchNotFoundError || error instanceof NativeBuildError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
