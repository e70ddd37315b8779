/** `cohort data fetch`: brings a dataset into the cache, whole or not at all, and finds that it is already there. */
import { copyFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cohortCacheFolder } from '@cohort-ml/torch/setup';
import type { DatasetAbout, Download, RemoteFile } from '../about.ts';
import { DataError } from '../errors.ts';
import type { PackageInstaller } from '../emoji/packages.ts';
import type { Variables } from '../places.ts';
import { exists } from '../places.ts';
import { datasetEntry } from '../registry.ts';
import type { DownloadProgress } from './download.ts';
import { downloadFile, hasChecksum } from './download.ts';
import {
  hashFile,
  listFiles,
  makeWritableFolder,
  SUMS_FILE,
  verifySums,
  writeError,
  writeSums,
} from './files.ts';
import { acquireFetchLock } from './lock.ts';
import { unpackArchive } from './unpack.ts';

/** What {@link fetchDataset} is given. */
export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Where the cache is; `process.env` unless given. */
  readonly environment?: Variables;
  /** Something worth knowing, in a sentence. */
  readonly onMessage?: (text: string) => void;
  /** What is under way, in a few words. */
  readonly onProgress?: (text: string) => void;
  /** Pause before a second attempt to download; for tests. */
  readonly retryWaitMs?: number;
  /** Installs the packages that the emoji are made from; npm unless given. */
  readonly installPackages?: PackageInstaller;
}

/** What fetching came to. */
export interface FetchResult {
  readonly name: string;
  readonly folder: string;
  /** `verified`: it was there, and every file still has its checksum. */
  readonly status: 'fetched' | 'verified';
  readonly files: number;
  /** SHA-256 of the folder's list of checksums: one number for the whole dataset. */
  readonly digest: string;
  /** Whether it is the digest that is documented; null where none is: the site's own checksums were right. */
  readonly isAsDocumented: boolean | null;
}

/** Everything that the steps of one fetch share. */
interface Job {
  readonly name: string;
  readonly about: DatasetAbout;
  /** Where the dataset goes. */
  readonly folder: string;
  /** Where it is put together; kept after a failure, so that downloads resume. */
  readonly workFolder: string;
  readonly options: FetchOptions;
}

/**
 * Fetches a dataset into the cache. Files that are there and unchanged are left alone; a file that the user has put into
 * the dataset's folder by hand, under the name that its site gives it, is used instead of downloading.
 * @throws {@link DataError} `unknownDataset`, `network`, `checksum`, `unwritable`, `busy`, `tool`, `argument` (for a
 *   dataset that nobody may pass on) and what unpacking throws. Whatever was in the folder before is then still there.
 */
export async function fetchDataset(name: string, options: FetchOptions = {}): Promise<FetchResult> {
  const { about } = datasetEntry(name);
  if (about === undefined || about.origin.kind === 'manual') throw notOffered(name, about);
  const cache = cohortCacheFolder(options.environment ?? process.env);
  const folder = join(cache, about.folder);
  const job = { name, about, folder, workFolder: join(cache, `.fetching-${about.folder}`), options };
  const present = await verifySums(folder);
  if (present?.wrong.length === 0) return result(job, 'verified', present.files);
  if (present !== null) {
    options.onMessage?.(
      `${present.wrong.length} of ${present.files} files in ${folder} are missing or changed (${present.wrong[0] ?? ''}): fetching again`,
    );
  }
  makeWritableFolder(job.workFolder);
  const lock = acquireFetchLock(join(cache, `.fetching-${about.folder}.lock`), name);
  try {
    const made = join(job.workFolder, 'made');
    await rm(made, { recursive: true, force: true });
    makeWritableFolder(made);
    if (about.origin.kind === 'made') {
      await about.origin.make(made, options);
    } else {
      await makeFromDownload(job, about.origin, made);
    }
    await writeSums(made);
    const files = (await listFiles(made)).length - 1;
    await moveIn(made, folder);
    await rm(job.workFolder, { recursive: true, force: true });
    return await result(job, 'fetched', files);
  } catch (error) {
    // Of what is made there is nothing to resume, and it may be large.
    if (about.origin.kind === 'made') await rm(job.workFolder, { recursive: true, force: true });
    throw writeError(error, job.workFolder);
  } finally {
    lock.release();
  }
}

async function result(job: Job, status: FetchResult['status'], files: number): Promise<FetchResult> {
  const digest = await hashFile(join(job.folder, SUMS_FILE), 'sha256');
  const { origin } = job.about;
  const isAsDocumented = origin.kind === 'made' ? origin.digest === digest : null;
  return { name: job.name, folder: job.folder, status, files, digest, isAsDocumented };
}

async function makeFromDownload(job: Job, download: Download, made: string): Promise<void> {
  for (const file of download.files) {
    const path = await obtain(job, file);
    if (download.unpack === undefined) {
      // A copy where the user's own file was taken: it may be on another disk, and it stays.
      await (path.startsWith(job.workFolder) ? rename : copyFile)(path, join(made, file.name));
    } else {
      job.options.onMessage?.(`unpacking ${file.name}`);
      await unpackArchive(path, made, download.unpack, {
        ...(job.options.signal === undefined ? {} : { signal: job.options.signal }),
        onFile: (files) => job.options.onProgress?.(`unpacking ${file.name}  ${files} files`),
      });
    }
  }
  await writeFile(join(made, 'SOURCE.txt'), sourceText(job.about, download));
}

/** Where the file is, after a download if it must be. */
async function obtain(job: Job, file: RemoteFile): Promise<string> {
  const { options, folder, workFolder } = job;
  const byHand = join(folder, file.name);
  const path = join(workFolder, file.name);
  if (await hasChecksum(path, file)) return path;
  const remedy =
    `Where there is no network, get ${file.name} (${megabytes(file.megabytes)}, ${file.checksum.algorithm} ` +
    `${file.checksum.value}) from ${file.urls[0] ?? ''} on another machine, put it at ${byHand} and run the ` +
    `same command again (cohort data fetch ${job.name}).`;
  if (await exists(byHand)) {
    if (await hasChecksum(byHand, file)) {
      options.onMessage?.(`using ${byHand}`);
      return byHand;
    }
    // Left alone where it is: it may be what the user wants to look at.
    options.onMessage?.(`${byHand} has not the checksum that its site gives: downloading another`);
  }
  options.onMessage?.(`downloading ${file.urls[0] ?? file.name} (${megabytes(file.megabytes)})`);
  await downloadFile(file, path, {
    remedy,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.retryWaitMs === undefined ? {} : { retryWaitMs: options.retryWaitMs }),
    onProgress: (progress) => options.onProgress?.(progressText(progress)),
  });
  return path;
}

/** Puts the new files in place: the folder as a whole where there is none, else file by file, the list of checksums last. */
async function moveIn(made: string, folder: string): Promise<void> {
  if (!(await exists(folder))) return rename(made, folder);
  // From here until the new list is there, the folder does not claim to be whole.
  await rm(join(folder, SUMS_FILE), { force: true });
  for (const file of (await listFiles(made)).filter((listed) => listed !== SUMS_FILE)) {
    makeWritableFolder(dirname(join(folder, file)));
    await rename(join(made, file), join(folder, file));
  }
  await rename(join(made, SUMS_FILE), join(folder, SUMS_FILE));
}

function progressText({ file, receivedBytes, totalBytes }: DownloadProgress): string {
  const done = (receivedBytes / 1e6).toFixed(1);
  if (totalBytes === null || totalBytes === 0) return `${file}  ${done} MB`;
  const percent = Math.floor((receivedBytes / totalBytes) * 100);
  return `${file}  ${done} of ${(totalBytes / 1e6).toFixed(1)} MB  ${percent}%`;
}

function megabytes(size: number): string {
  return `${size.toLocaleString('en')} MB`;
}

function sourceText(about: DatasetAbout, { files }: Download): string {
  return [
    about.title,
    `Home page: ${about.homepage}`,
    `Licence: ${about.licence}`,
    ...files.map(
      ({ name, urls, checksum }) => `${name}: ${urls[0] ?? ''} (${checksum.algorithm} ${checksum.value})`,
    ),
    '',
  ].join('\n');
}

function notOffered(name: string, about: DatasetAbout | undefined): DataError {
  const origin = about?.origin;
  return new DataError('argument', {
    operation: `fetching ${name}`,
    expected: 'a dataset that can be downloaded',
    received: 'one that must be downloaded by hand',
    remedy: origin?.kind === 'manual' ? origin.instructions : 'Say where your files are: data.path=FOLDER.',
  });
}
