/** Compiles the sources of all packages afresh, for tests that need processes of their own to kill: `dist` may be stale. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transpileFolder } from '../../../../scripts/transpileFolder.ts';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));

/** What the command line is made of. */
const packages = ['errors', 'torch', 'runs', 'runtime', 'cohort'];

/** The command line as JavaScript in a temporary folder. */
export interface ChildCohort {
  /** Path of `main.js`. */
  readonly program: string;
  remove(): void;
}

/** Compiles it, without checking types. */
export function compileCohort(): ChildCohort {
  const root = mkdtempSync(join(tmpdir(), 'cohort-child-'));
  for (const name of packages) compilePackage(name, root);
  for (const folder of ['build', 'native', 'scripts']) {
    symlinkSync(join(repository, 'packages/torch', folder), join(root, 'packages/torch', folder));
  }
  // What tells a clone of the repository, whose engine is in its build folder, from an installed package.
  mkdirSync(join(root, 'packages/torch/src'));
  const modules = join(root, 'node_modules');
  mkdirSync(join(modules, '@cohort-ml'), { recursive: true });
  for (const name of readdirSync(join(repository, 'node_modules'))) {
    if (name.startsWith('.') || name === '@cohort-ml' || name === 'cohort-ml') continue;
    symlinkSync(join(repository, 'node_modules', name), join(modules, name));
  }
  for (const name of packages) {
    if (name === 'cohort') continue;
    symlinkSync(join(root, 'packages', name), join(modules, '@cohort-ml', name));
  }
  return {
    program: join(root, 'packages/cohort/dist/cli/main.js'),
    remove: () => {
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function compilePackage(name: string, root: string): void {
  const target = join(root, 'packages', name);
  transpileFolder(join(repository, 'packages', name, 'src'), join(target, 'dist'));
  copyFileSync(join(repository, 'packages', name, 'package.json'), join(target, 'package.json'));
  const programs = join(repository, 'packages', name, 'bin');
  if (existsSync(programs)) cpSync(programs, join(target, 'bin'), { recursive: true });
}
