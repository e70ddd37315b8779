/** Finds LibTorch for the native build, in $LIBTORCH, a Python's torch package or the system, and says what it found. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const oldestVersion = [1, 13];
const neededLibraries = ['torch', 'torch_cpu', 'c10'];
const cudaLibraries = ['torch_cuda', 'c10_cuda'];
const neededHeaders = ['ATen/ATen.h', 'c10/util/Exception.h', 'torch/library.h'];
const pythonLimitMs = 20_000;
const threeWays = `Three ways to get it:
  1. unpack a LibTorch download (pytorch.org, "LibTorch", C++) and set LIBTORCH to the unpacked folder
  2. pip install torch
  3. apt-get install libtorch-dev libopenblas0-openmp (Debian, Ubuntu) or brew install pytorch (macOS)`;

// Only looked up, never imported: importing torch takes seconds. The working folder is left out of the search, since a
// folder named torch there would be taken for the package.
const pythonProbe = `
import importlib.util, json, os, sys
sys.path = [entry for entry in sys.path if entry not in ("", os.getcwd())]
found = importlib.util.find_spec("torch")
print(json.dumps(os.path.dirname(found.origin) if found and found.origin else None))
`;

/** LibTorch is missing, or `$LIBTORCH` points at something else; the message says how to put it right. */
export class LibTorchNotFoundError extends Error {
  name = 'LibTorchNotFoundError';
}

/** Where this machine keeps software; tests pass a made-up one. */
export function thisMachine() {
  const { platform } = process;
  const homebrew = [process.env.HOMEBREW_PREFIX, '/opt/homebrew', '/usr/local'].filter(Boolean);
  return {
    platform,
    architecture: process.arch,
    pythons: ['python3', 'python', '/usr/bin/python3'],
    systemPrefixes:
      platform === 'darwin'
        ? [...new Set(homebrew)].map((prefix) => join(prefix, 'opt', 'pytorch'))
        : ['/usr/local', '/usr'],
    packagedVersion: (root) =>
      root === '/usr'
        ? spawnSync('dpkg-query', ['-W', '-f', '${Version}', 'libtorch-dev'], { encoding: 'utf8' }).stdout
        : undefined,
  };
}

/**
 * Returns `{ source, root, includeDirs, libDirs, libraries, version, cxx11Abi, cuda, rpath }` of the first LibTorch
 * found; throws {@link LibTorchNotFoundError} with the three ways to get one.
 */
export function findLibTorch(environment = process.env, machine = thisMachine()) {
  if (environment.LIBTORCH) return fromVariable(environment.LIBTORCH, machine);
  const refused = [];
  const found = fromPython(environment, machine, refused) ?? fromSystem(machine, refused);
  if (found !== undefined) return found;
  throw new LibTorchNotFoundError(
    [
      `LibTorch ${oldestVersion.join('.')} or newer, with its headers, was not found. Looked in:`,
      '  $LIBTORCH: not set',
      `  the torch package of ${machine.pythons.join(', ')}`,
      `  the system: ${machine.systemPrefixes.join(', ')}`,
      ...refused.map((reason) => `  refused: ${reason}`),
      threeWays,
    ].join('\n'),
  );
}

function fromVariable(variable, machine) {
  const root = resolve(variable);
  const { installation, problem } = inspect('LIBTORCH', root, machine);
  if (installation !== undefined) return installation;
  const inner = ['libtorch', 'torch'].map((name) => join(root, name));
  const better = inner.find((folder) => inspect('LIBTORCH', folder, machine).installation !== undefined);
  throw new LibTorchNotFoundError(
    [
      `LIBTORCH is set to ${variable}, but ${problem}.`,
      `Expected: LibTorch ${oldestVersion.join('.')} or newer with headers in ${join(root, 'include')}` +
        ` and ${fileName('torch_cpu', machine)} in ${join(root, 'lib')}.`,
      better === undefined
        ? `Correct LIBTORCH, or unset it to search elsewhere. ${threeWays}`
        : `Set LIBTORCH=${better} instead.`,
    ].join('\n'),
  );
}

function fromPython(environment, machine, refused) {
  for (const python of machine.pythons) {
    const { status, stdout } = spawnSync(python, ['-c', pythonProbe], {
      encoding: 'utf8',
      env: environment,
      timeout: pythonLimitMs,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const root = status === 0 ? parseFolder(stdout) : undefined;
    if (root === undefined || borrowsFromSystem(root, machine)) continue;
    const { installation, problem } = inspect('python', root, machine);
    if (installation !== undefined) return installation;
    refused.push(`torch of ${python}: ${problem}`);
  }
  return undefined;
}

function parseFolder(json) {
  try {
    // The last line: a start-up file of that Python may print before.
    const folder = JSON.parse(json.trim().split('\n').at(-1));
    return typeof folder === 'string' ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** Debian's python3-torch holds links to the headers and libraries of libtorch-dev: that one is the system's. */
function borrowsFromSystem(root, machine) {
  const headers = join(root, 'include', 'ATen');
  return (
    existsSync(headers) &&
    machine.systemPrefixes.some((prefix) => {
      const system = join(prefix, 'include', 'ATen');
      return existsSync(system) && realpathSync(system) === realpathSync(headers);
    })
  );
}

function fromSystem(machine, refused) {
  for (const root of machine.systemPrefixes) {
    const { installation, problem } = inspect('system', root, machine);
    if (installation !== undefined) return installation;
    if (existsSync(join(root, 'include', 'ATen'))) refused.push(problem);
  }
  return undefined;
}

/** Describes the LibTorch below `root`, or says what keeps it from being one. */
function inspect(source, root, machine) {
  if (!existsSync(root)) return { problem: `${root} does not exist` };
  const include = join(root, 'include');
  const header = neededHeaders.find((name) => !existsSync(join(include, name)));
  if (header !== undefined) return { problem: `there is no header ${join(include, header)}` };

  const folders = libraryFolders(root, machine);
  const has = (folder, name) => existsSync(join(folder, fileName(name, machine)));
  const libDir = folders.find((folder) => neededLibraries.every((name) => has(folder, name)));
  if (libDir === undefined) {
    const names = neededLibraries.map((name) => fileName(name, machine)).join(', ');
    return { problem: `${names} are not together in any of ${folders.join(', ')}` };
  }

  const version = readVersion(root, machine);
  if (version === undefined) return { problem: `the version of the LibTorch in ${root} cannot be told` };
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  if (major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1])) {
    return { problem: `${root} holds LibTorch ${version}, older than ${oldestVersion.join('.')}` };
  }

  const cuda = has(libDir, 'torch_cuda');
  const libraries = [...neededLibraries, ...cudaLibraries.filter((name) => has(libDir, name))];
  const includeDirs = [include, join(include, 'torch', 'csrc', 'api', 'include')];
  const cxx11Abi = usesCxx11Abi(join(libDir, fileName('c10', machine)));
  const installation = { source, root, includeDirs, libDirs: [libDir], libraries, version, cxx11Abi, cuda };
  return { installation: { ...installation, rpath: libDir } };
}

function fileName(library, machine) {
  return `lib${library}.${machine.platform === 'darwin' ? 'dylib' : 'so'}`;
}

function libraryFolders(root, machine) {
  const lib = join(root, 'lib');
  const gnuName = { x64: 'x86_64', arm64: 'aarch64' }[machine.architecture] ?? machine.architecture;
  const triplets = existsSync(lib)
    ? readdirSync(lib).filter((name) => name.startsWith(`${gnuName}-`) && name.includes('-linux-'))
    : [];
  return [lib, join(root, 'lib64'), ...triplets.map((name) => join(lib, name))];
}

/** Debian's header says 1.13.0 for 1.13.1, so the package is asked first; a Python package knows its `+cpu` suffix. */
function readVersion(root, machine) {
  const header = /^\s*#\s*define\s+TORCH_VERSION\s*(?:\\\r?\n)?\s*"([^"]+)"/m;
  return (
    /^\d[\d.]*\d/.exec(machine.packagedVersion(root) ?? '')?.[0] ??
    matchIn(join(root, 'version.py'), /^__version__.*?=\s*['"]([^'"]+)['"]/m) ??
    matchIn(join(root, 'build-version'), /^(\d\S*)/) ??
    matchIn(join(root, 'include', 'torch', 'csrc', 'api', 'include', 'torch', 'version.h'), header) ??
    matchIn(join(root, 'include', 'torch', 'headeronly', 'version.h'), header)
  );
}

function matchIn(path, pattern) {
  return existsSync(path) ? pattern.exec(readFileSync(path, 'utf8'))?.[1] : undefined;
}

/**
 * Code that passes strings to LibTorch must be built for the same C++ ABI; the name of an exception's constructor
 * tells which. Elsewhere than with libstdc++ there is only one, and the flag does nothing.
 */
function usesCxx11Abi(c10) {
  const symbols = readFileSync(c10, 'latin1').match(/_ZN3c105ErrorC[12]E\w+/g) ?? [];
  return symbols.length === 0 || symbols.some((symbol) => symbol.includes('__cxx11'));
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(JSON.stringify(findLibTorch(), null, 2));
  } catch (error) {
    if (!(error instanceof LibTorchNotFoundError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
