/** Test help: trains in processes of their own, alone or as ranks, and says what came of it in a form to compare. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { writeMnistFiles } from '../data/testing.ts';

/** How a process ended, and what it wrote. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/** A process of a test. */
export interface TestProcess {
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  /** What it has written so far. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
}

/** Made-up images, 64 to train on and 20 to test on. @returns their folder */
export function writeImages(folder: string): string {
  const data = join(folder, 'data');
  mkdirSync(data, { recursive: true });
  writeMnistFiles(data, { trainCount: 64, testCount: 20, compressed: false });
  return data;
}

/** Starts Node with these words, operators on one thread. */
export function startProcess(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): TestProcess {
  return startCommand(process.execPath, words, environment);
}

/** Starts a program, operators on one thread. */
export function startCommand(
  program: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): TestProcess {
  const child = spawn(program, words, {
    env: { ...process.env, OMP_NUM_THREADS: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    pid: child.pid ?? 0,
    ended: new Promise((resolve) => {
      child.once('close', (code, signal) => {
        resolve({ code, signal, output: text });
      });
    }),
    output: () => text,
    kill: (signal) => child.kill(signal),
  };
}

/** Runs programs of Node that need one another, to their ends. @returns what each has written @throws where one fails */
export async function runTogether(programs: readonly (readonly string[])[]): Promise<string[]> {
  const processes = programs.map((words) => startProcess(words));
  // The others would wait for one that has failed.
  for (const each of processes) {
    void each.ended.then(({ code }) => {
      if (code !== 0) for (const other of processes) other.kill('SIGKILL');
    });
  }
  const ends = await Promise.all(processes.map(({ ended }) => ended));
  const failed = ends.find(({ code }) => code !== 0 && code !== null) ?? ends.find(({ code }) => code !== 0);
  if (failed !== undefined) throw new Error(`a rank failed: ${failed.output}`);
  return ends.map(({ output }) => output);
}

/**
 * Trains recipes with `ranksProgram` in so many ranks; 1 trains without a group.
 *
 * @param shards how many ranks share each batch
 * @returns the folder of their runs
 * @throws where a process fails
 */
export async function trainInRanks(
  program: string,
  folder: string,
  recipes: readonly object[],
  ranks: number,
  shards = 1,
): Promise<string> {
  const list = join(folder, 'recipes.json');
  writeFileSync(list, JSON.stringify(recipes));
  const runs = join(folder, `ranks-${ranks}-shards-${shards}`);
  const path = join(dirname(program), '..', 'test', 'ranksProgram.js');
  const port = await freePort();
  await runTogether(
    Array.from({ length: ranks }, (_, rank) => [
      path,
      ...[rank, ranks, port].map(String),
      list,
      runs,
      String(shards),
    ]),
  );
  return runs;
}

/** Paths of the runs in a folder, oldest first. */
export function runsIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(folder, name))
    .sort();
}

/** A port that nobody uses at this moment. */
export function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  });
}

/** Processes that a process has started, in the order of their starts; on Linux only. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

/** Whether a process is still there; one that its parent has not asked after yet is as good as gone. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
