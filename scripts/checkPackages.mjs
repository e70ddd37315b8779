/** Checks the packed packages with publint and arethetypeswrong; both are fetched from the npm registry when first run. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packPackages } from './packPackages.mjs';

const folder = mkdtempSync(join(tmpdir(), 'cohort-packages-'));

/** The packages hold ES modules only; the WebAssembly files are for bundlers and have no types. */
const judges = [
  (path) => ['publint@0.3', 'run', path, '--strict'],
  (path) => [
    '@arethetypeswrong/cli@0.18', path, '--profile', 'esm-only', '--format', 'ascii',
    '--exclude-entrypoints', 'kernels.wasm', 'kernels-relaxed.wasm',
  ], // prettier-ignore
];

try {
  for (const { name, path } of packPackages(folder)) {
    for (const judge of judges) {
      const [tool, ...parameters] = judge(path);
      const result = spawnSync('npx', ['--yes', '--prefer-offline', tool, ...parameters], {
        encoding: 'utf8',
      });
      if (result.status === 0) console.log(`${name}: ${tool} has no complaints`);
      else {
        console.error(`${name}: ${tool}\n${result.stdout}${result.stderr}`);
        process.exitCode = 1;
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
