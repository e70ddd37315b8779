/** Compiles the engine's sources afresh, for tests that need a process or a thread of their own to break things in. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transpileFolder } from '../../../../scripts/transpileFolder.ts';

const sourceFolder = fileURLToPath(new URL('..', import.meta.url));
const errorsFolder = fileURLToPath(new URL('../../../errors/src', import.meta.url));
const buildFolder = fileURLToPath(new URL('../../build', import.meta.url));
const scriptsFolder = fileURLToPath(new URL('../../scripts', import.meta.url));

/** How a program ended and what it wrote. */
export interface ProgramResult {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The engine as JavaScript in a temporary folder: what `dist` would be, had it just been built. */
export class ChildEngine {
  readonly #folder = mkdtempSync(join(tmpdir(), 'cohort-torch-'));
  readonly #environment: NodeJS.ProcessEnv;

  /** @param options.withAddon false leaves the native addon out, as before the first build */
  constructor(options: { readonly withAddon?: boolean } = {}) {
    transpileFolder(sourceFolder, join(this.#folder, 'src'));
    const errors = join(this.#folder, 'node_modules/@cohort-ml/errors');
    transpileFolder(errorsFolder, join(errors, 'dist'));
    copyFileSync(join(errorsFolder, '../package.json'), join(errors, 'package.json'));
    writeFileSync(join(this.#folder, 'package.json'), '{"type":"module"}');
    symlinkSync(scriptsFolder, join(this.#folder, 'scripts'));
    const { withAddon = true } = options;
    if (withAddon) symlinkSync(buildFolder, join(this.#folder, 'build'));
    this.#environment = { ...process.env, OMP_NUM_THREADS: '1', ...(withAddon ? {} : { COHORT_ADDON: '' }) };
  }

  /**
   * Runs a program of this folder, e.g. `fuzzProgram`, in a process of its own. Operators use one thread there: the
   * programs compute little, and threads that wait for each other are slow where other processes run as well.
   */
  run(
    program: string,
    parameters: readonly string[] = [],
    nodeFlags: readonly string[] = [],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<ProgramResult> {
    const path = join(this.#folder, 'src', 'testing', `${program}.js`);
    const options = {
      cwd: this.#folder,
      maxBuffer: 1 << 26,
      env: { ...this.#environment, ...environment },
    };
    return new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        [...nodeFlags, path, ...parameters],
        options,
        (_error, stdout, stderr) => {
          resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
        },
      );
    });
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
