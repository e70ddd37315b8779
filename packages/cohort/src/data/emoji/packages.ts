/** The packages that Emoji-70 is made from, pinned by version and checksum, and how npm brings them without running anything of theirs. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errorCode, errorText } from '@cohort-ml/errors';
import type * as z from 'zod';
import { DataError } from '../errors.ts';
import type { IconSet } from './iconSets.ts';
import { charsSchema, iconsSchema, infoSchema } from './iconSets.ts';
import { emojiListSchema, groupsSchema } from './selection.ts';

/** A package at a version. */
export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  /** npm's checksum of it. */
  readonly integrity: string;
}

/** Brings packages to `FOLDER/node_modules`. */
export type PackageInstaller = (
  folder: string,
  packages: readonly PinnedPackage[],
  signal?: AbortSignal,
) => Promise<void>;

/** Styles in the order in which pictures are numbered. */
export const ICON_SETS: readonly PinnedPackage[] = [
  {
    name: '@iconify-json/noto',
    version: '1.2.9',
    integrity:
      'sha512-DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==',
  },
  {
    name: '@iconify-json/noto-v1',
    version: '1.2.5',
    integrity:
      'sha512-/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA==',
  },
  {
    name: '@iconify-json/twemoji',
    version: '1.2.5',
    integrity:
      'sha512-uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==',
  },
  {
    name: '@iconify-json/fluent-emoji',
    version: '1.2.7',
    integrity:
      'sha512-D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA==',
  },
  {
    name: '@iconify-json/fluent-emoji-flat',
    version: '1.2.6',
    integrity:
      'sha512-RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==',
  },
  {
    name: '@iconify-json/openmoji',
    version: '1.2.29',
    integrity:
      'sha512-vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ==',
  },
  {
    name: '@iconify-json/emojione',
    version: '1.2.3',
    integrity:
      'sha512-T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg==',
  },
  {
    name: '@iconify-json/emojione-v1',
    version: '1.2.3',
    integrity:
      'sha512-UjI2VQEXVtGlPBvQuxEizro7QCgBcJDOYwKUupquvvZ8UV4xOlvm45IU82JYWegiAWLerY79gFLMZ26U6Ms+ww==',
  },
];

/** Unicode's list of emoji with names and subgroups. */
export const EMOJI_LIST: PinnedPackage = {
  name: 'emojibase-data',
  version: '17.0.0',
  integrity:
    'sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==',
};

/** What the sets need in addition; types only. */
const COMPANIONS: readonly PinnedPackage[] = [
  {
    name: '@iconify/types',
    version: '2.0.0',
    integrity:
      'sha512-+wluvCrRhXrhyOmRDJ3q8mux9JkKy5SJ/v8ol2tu4FVjyYvtEzkc/3pK15ET6RKg4b4w4BmTk1+gsCUhf21Ykg==',
  },
];

/** Everything that is installed. */
export const EMOJI_PACKAGES: readonly PinnedPackage[] = [...ICON_SETS, EMOJI_LIST, ...COMPANIONS];

/** `npm ci` from a lock file with exactly these packages: another version or checksum is refused, and no script is run. */
export const installWithNpm: PackageInstaller = async (folder, packages, signal) => {
  const dependencies = Object.fromEntries(packages.map(({ name, version }) => [name, version]));
  const manifest = { name: 'cohort-emoji', version: '1.0.0', private: true, dependencies };
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify(lockFile(manifest, packages)));
  // npm's own patience with a registry that does not answer is more than a minute.
  const patience = ['--fetch-retries=1', '--fetch-retry-mintimeout=1000'];
  const words = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...patience];
  try {
    await promisify(execFile)('npm', words, {
      cwd: folder,
      ...(signal === undefined ? {} : { signal }),
      // On Windows npm is a script.
      shell: process.platform === 'win32',
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw npmError(error);
  }
};

function lockFile(
  manifest: { name: string; version: string; dependencies: Record<string, string> },
  packages: readonly PinnedPackage[],
): object {
  const { name, version, dependencies } = manifest;
  // Without an address: npm takes each from the registry that the user has set, and holds it against its integrity.
  const entries = packages.map((one): [string, object] => [
    `node_modules/${one.name}`,
    { version: one.version, integrity: one.integrity },
  ]);
  return {
    name,
    version,
    lockfileVersion: 3,
    requires: true,
    packages: { '': { name, version, dependencies }, ...Object.fromEntries(entries) },
  };
}

function npmError(error: unknown): DataError {
  const isMissing = errorCode(error) === 'ENOENT';
  const output =
    error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' ? error.stderr : '';
  const reason = output.trim().split('\n').slice(0, 3).join(' ') || errorText(error);
  return new DataError('tool', {
    operation: 'installing the emoji packages with npm ci',
    expected: 'npm to download them',
    received: isMissing ? 'no npm on the PATH' : `"${reason}"`,
    remedy: isMissing
      ? 'Install npm (it comes with Node.js).'
      : `Check that npm reaches its registry (npm ping), or copy the dataset's folder from the cache of another machine. Packages: ${EMOJI_PACKAGES.map((one) => `${one.name}@${one.version}`).join(', ')}.`,
    cause: error,
  });
}

/** What the packages hold, read and checked. */
export interface EmojiSources {
  readonly list: z.output<typeof emojiListSchema>;
  readonly names: z.output<typeof groupsSchema>;
  readonly sets: readonly IconSet[];
}

/**
 * Reads the installed packages.
 * @throws {@link DataError} `missing` or `format` naming the file.
 */
export async function readPackages(
  folder: string,
  iconSets: readonly PinnedPackage[] = ICON_SETS,
): Promise<EmojiSources> {
  const modules = join(folder, 'node_modules');
  const list = await readJson(join(modules, EMOJI_LIST.name, 'en', 'data.json'), emojiListSchema);
  const names = await readJson(join(modules, EMOJI_LIST.name, 'meta', 'groups.json'), groupsSchema);
  const sets: IconSet[] = [];
  for (const { name, version } of iconSets) {
    const read = <Schema extends z.ZodType>(file: string, schema: Schema): Promise<z.output<Schema>> =>
      readJson(join(modules, name, file), schema);
    sets.push({
      name: name.split('/').at(-1) ?? name,
      version,
      icons: await read('icons.json', iconsSchema),
      chars: new Map(Object.entries(await read('chars.json', charsSchema))),
      info: await read('info.json', infoSchema),
    });
  }
  return { list, names, sets };
}

async function readJson<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.output<Schema>> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw packageError(errorCode(error) === 'ENOENT' ? 'missing' : 'format', path, errorText(error));
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw packageError('format', path, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'another form'}`);
}

function packageError(kind: 'missing' | 'format', path: string, received: string): DataError {
  return new DataError(kind, {
    operation: `reading ${path}`,
    expected: 'the JSON file of the pinned package',
    received,
    remedy:
      'Check that the disk is not full, and fetch again; with npm behind a mirror, check that the mirror passes packages on unchanged.',
    path,
  });
}
