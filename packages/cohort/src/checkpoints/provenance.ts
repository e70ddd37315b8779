/** What a run's numbers come from (code, data, recipe), as a checkpoint records it, and in words how two of them differ. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { currentDevice, engineInfo } from '@cohort-ml/torch';
import * as z from 'zod';
import type { ImageDataset, ImagePixels } from '../data/index.ts';
import { recipeSchema, type ResolvedRecipe } from '../recipes/index.ts';
import type { Change } from './changes.ts';

const codeSchema = z.object({
  /** SHA-256 over everything that computes: this package without command line, benchmarks and comparisons, and the engine. */
  digest: z.string(),
  version: z.string(),
  /** Null outside a git checkout. */
  gitCommit: z.string().nullable(),
  /** Whether files differed from the commit; null outside a git checkout. */
  isModified: z.boolean().nullable(),
  libtorch: z.string(),
});

/** The shape of it in `checkpoint.json`. */
export const provenanceSchema = z.object({
  code: codeSchema,
  data: z.object({
    name: z.string(),
    /** SHA-256 over pixels, labels and classes. */
    digest: z.string(),
    images: z.object({ train: z.int(), validation: z.int(), test: z.int() }),
  }),
  recipe: z.json(),
  /** Another number adds up in another order, and another processor may run other kernels. */
  machine: z.object({
    threads: z.int(),
    cpu: z.string(),
    cpuCapability: z.string(),
    /** Absent in checkpoints from when there was the CPU alone. */
    device: z.string().default('cpu'),
    /** How many ranks share each batch; absent for one. */
    shards: z.int().optional(),
  }),
});

/** Code, data, recipe and machine of a run. */
export type Provenance = z.output<typeof provenanceSchema>;

/** Describes this code, these images, this recipe and this machine. @param shards how many ranks share each batch */
export function describeProvenance(
  recipe: ResolvedRecipe,
  dataset: ImageDataset<ImagePixels>,
  shards = 1,
): Provenance {
  const { threads, cpuCapability } = engineInfo();
  return {
    code: describeCode(),
    data: {
      name: dataset.name,
      digest: dataDigest(dataset),
      images: {
        train: dataset.train.count,
        validation: dataset.validation?.count ?? 0,
        test: dataset.test.count,
      },
    },
    // As it comes back from the file, so that the two can be compared.
    recipe: z.json().parse(JSON.parse(JSON.stringify(recipe))),
    machine: {
      threads,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cpuCapability,
      device: currentDevice(),
      ...(shards === 1 ? {} : { shards }),
    },
  };
}

/** How `now` differs from what a checkpoint was `before` written with: a sentence for every difference that matters. */
export function differences(
  before: Provenance,
  now: Provenance,
): Readonly<Record<Change, readonly string[]>> {
  const { code, data } = before;
  const isSameCode = code.digest === now.code.digest && code.libtorch === now.code.libtorch;
  const isSameData = data.digest === now.data.digest;
  return {
    code: isSameCode ? [] : [`${codeWords(code)} became ${codeWords(now.code)}`],
    data: isSameData ? [] : [`${dataWords(data)} became ${dataWords(now.data)}`],
    recipe: recipeDifferences(withDefaults(before.recipe), now.recipe),
  };
}

/** What makes another last digit likely, though nobody changed it on purpose. */
export function machineDifferences({ machine: before }: Provenance, { machine: now }: Provenance): string[] {
  const words: string[] = [];
  if (before.threads !== now.threads) {
    words.push(`it ran with ${before.threads} threads and continues with ${now.threads} (engine.threads)`);
  }
  const [shardsBefore, shards] = [before.shards ?? 1, now.shards ?? 1];
  if (shardsBefore !== shards) {
    words.push(
      `each batch was computed on ${rankWords(shardsBefore)} and is now on ${rankWords(shards)} (cohort launch --shards)`,
    );
  }
  if (before.device !== now.device) {
    words.push(`it ran on ${before.device} and continues on ${now.device} (train.device)`);
  }
  if (before.cpuCapability !== now.cpuCapability || before.cpu !== now.cpu) {
    words.push(
      `it ran on ${before.cpu} (${before.cpuCapability}) and continues with ${now.cpu} (${now.cpuCapability})`,
    );
  }
  return words;
}

function rankWords(count: number): string {
  return count === 1 ? 'one rank' : `${count} ranks`;
}

/** Settings that change where and when things are kept, and never what is computed. */
const HARMLESS =
  /^(runs|data\.(path|cache)|networks\.\d+\.weights|engine\.threads|train\.probe(\.\w+)?|train\.(device|logEverySteps|checkpointEvery(Epochs|Seconds)|keep(Last|Best)Checkpoints))$/;

/** A recipe with the defaults of settings that are newer than it: it was trained as if it had named them. */
function withDefaults(recipe: unknown): unknown {
  const parsed = recipeSchema().safeParse(recipe);
  return parsed.success ? JSON.parse(JSON.stringify(parsed.data)) : recipe;
}

function recipeDifferences(before: unknown, now: unknown): string[] {
  const [old, current] = [flatten(before), flatten(now)];
  return [...new Set([...old.keys(), ...current.keys()])].sort().flatMap((path) => {
    const [left, right] = [old.get(path) ?? 'absent', current.get(path) ?? 'absent'];
    return left === right || HARMLESS.test(path) ? [] : [`${path} was ${left} and is ${right}`];
  });
}

/** Every value of nested sections and lists as JSON, by its dotted path. */
function flatten(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (typeof value === 'object' && value !== null && Object.keys(value).length > 0) {
    for (const [key, each] of Object.entries(value))
      flatten(each, path === '' ? key : `${path}.${key}`, into);
  } else into.set(path, JSON.stringify(value));
  return into;
}

function codeWords(code: Provenance['code']): string {
  const commit =
    code.gitCommit === null
      ? ''
      : `, commit ${code.gitCommit.slice(0, 12)}${code.isModified === true ? ' with changes' : ''}`;
  return `Cohort ${code.version} (${code.digest.slice(0, 12)}${commit}, LibTorch ${code.libtorch})`;
}

function dataWords({ name, digest, images }: Provenance['data']): string {
  const counts = `${images.train} training, ${images.validation} validation and ${images.test} test images`;
  return `${name} (${digest.slice(0, 12)}, ${counts})`;
}

function dataDigest(dataset: ImageDataset<ImagePixels>): string {
  const { classes, channels, height, width, contentDigest = null } = dataset;
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ classes, channels, height, width, contentDigest }));
  for (const split of [dataset.train, dataset.validation, dataset.test]) {
    hash.update(`\n${split?.count ?? 0}\n`);
    if (split === undefined) continue;
    hash.update(Int32Array.from(split.labels));
    if (split.images instanceof Uint8Array) hash.update(split.images);
  }
  return hash.digest('hex');
}

/** The folder of what runs now, sources or compiled. */
const ownFolder = fileURLToPath(new URL('..', import.meta.url));

function describeCode(): Provenance['code'] {
  // In the repository and where packages are installed.
  const engineFolder =
    ['../../torch', '../../@cohort-ml/torch']
      .map((path) => join(ownFolder, path))
      .find((path) => existsSync(path)) ?? '';
  const compiled = ownFolder.endsWith('src/') ? 'src' : 'dist';
  const hash = createHash('sha256');
  for (const folder of [ownFolder, join(engineFolder, compiled), join(engineFolder, 'build')]) {
    for (const path of codeFiles(folder)) hash.update(path).update(readFileSync(join(folder, path)));
  }
  const manifest = z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(ownFolder, '../package.json'), 'utf8')));
  return {
    digest: hash.digest('hex'),
    version: manifest.version,
    gitCommit: git('rev-parse', 'HEAD'),
    isModified: modified(git('status', '--porcelain', '--untracked-files=no')),
    libtorch: engineInfo().version,
  };
}

/** Sorted; what only shows things or tests them is left out. */
function codeFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(js|ts|node)$/.test(path) && !/\.(d|test)\.ts$|\.test\.js$/.test(path))
    .filter((path) => !/^(bench|cli|compare|test|testing|obj\.target|generated)(\/|\\|$)/.test(path))
    .sort();
}

function modified(status: string | null): boolean | null {
  return status === null ? null : status !== '';
}

function git(...args: string[]): string | null {
  try {
    const cwd = dirname(ownFolder);
    return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
