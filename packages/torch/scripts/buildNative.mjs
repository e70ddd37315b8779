/** Builds the native addon with make and then the operators' TypeScript types from its schemas; quiet when up to date. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findLibTorch } from './findLibTorch.mjs';
import { generateOperatorTypes } from './generateOperators.mjs';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const buildFolder = join(packageFolder, 'build');
const addonPath = join(buildFolder, 'cohort_torch.node');
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

/** Version 3 describes convolutions by other classes. */
function hasOneDnn2() {
  const header = '/usr/include/oneapi/dnnl/dnnl_version.h';
  return existsSync(header) && /DNNL_VERSION_MAJOR\s+2\b/.test(readFileSync(header, 'utf8'));
}

function flagsFor(torch) {
  const nodeHeaders = dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json'));
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
    NODE_CFLAGS: `-isystem ${quote(join(nodeHeaders, 'include'))}`,
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

function build() {
  const torch = findLibTorch();
  const flags = flagsFor(torch);
  writeIfChanged(join(buildFolder, 'flags'), JSON.stringify({ torch, flags }, null, 2));
  const onednn = onednnFlags(torch);
  writeIfChanged(join(buildFolder, 'onednn'), JSON.stringify(onednn));
  // The Makefile's own relative ../build: make takes no absolute targets with spaces.
  const make = (...extra) => ['-s', '-C', join(packageFolder, 'native'), ...extra];
  const environment = { ...process.env, ...flags, ...onednn };
  const upToDate = spawnSync('make', make('-q'), { env: environment }).status === 0;
  if (!upToDate) {
    console.log(
      `building the native engine against LibTorch ${torch.version} (${torch.source}: ${torch.root})`,
    );
    const jobs = `-j${availableParallelism()}`;
    const result = spawnSync('make', make(jobs), {
      env: environment,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (result.status !== 0) {
      console.error(result.stdout + result.stderr);
      console.error(
        `The native engine did not build against LibTorch ${torch.version} in ${torch.root}; the compiler's words stand above.`,
      );
      process.exit(1);
    }
  }
  if (!upToDate || !existsSync(typesPath)) {
    // A process of its own: a broken addon must not take the build script down without a word.
    const schemas = execFileSync(
      process.execPath,
      ['-e', `process.stdout.write(require(${JSON.stringify(addonPath)}).listSchemas())`],
      { encoding: 'utf8', maxBuffer: 1 << 26 },
    );
    writeIfChanged(typesPath, generateOperatorTypes(schemas, torch.version));
  }
}

build();
