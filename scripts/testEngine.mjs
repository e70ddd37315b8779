/**
 * Builds the engine against another LibTorch, into a folder of its own, and runs the engine's and the method's tests on it:
 *
 *   npm run test:engine -- --libtorch PATH [test files or folders]
 *
 * PATH is an unpacked LibTorch, the `torch` package of a Python, or /usr; without it, the LibTorch that set-up finds.
 * `CXX` names another compiler, whose engine gets a folder of its own as well.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildNative, NativeBuildError } from '../packages/torch/scripts/buildNative.mjs';
import { LibTorchNotFoundError } from '../packages/torch/scripts/findLibTorch.mjs';

const repository = fileURLToPath(new URL('..', import.meta.url));
const usualTests = ['packages/torch/src', 'packages/cohort/src/losses', 'packages/cohort/src/methods'];

function main() {
  const { values, positionals } = parseArgs({
    options: { libtorch: { type: 'string' }, 'build-only': { type: 'boolean' } },
    allowPositionals: true,
  });
  const environment = { ...process.env };
  if (values.libtorch !== undefined) environment.LIBTORCH = resolve(values.libtorch);
  const place = environment.LIBTORCH ? realpathSync(environment.LIBTORCH) : 'found';
  const made = `${place} ${environment.CXX ?? ''}`.trim();
  const name = createHash('sha256').update(made).digest('hex').slice(0, 12);
  const addon = buildNative(environment, join(repository, 'node_modules', '.cache', 'cohort-engine', name));
  console.log(`engine: ${addon}`);
  if (values['build-only']) return 0;
  const vitest = join(repository, 'node_modules', 'vitest', 'vitest.mjs');
  const tests = positionals.length > 0 ? positionals : usualTests;
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...tests], {
    cwd: repository,
    stdio: 'inherit',
    env: { ...environment, COHORT_ADDON: addon },
  });
  return status ?? 1;
}

try {
  process.exitCode = main();
} catch (error) {
  const isExpected =
    error instanceof LibTorchNotFoundError ||
    error instanceof NativeBuildError ||
    ['ENOENT', 'ERR_PARSE_ARGS_UNKNOWN_OPTION', 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE'].includes(error.code);
  if (!isExpected) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
