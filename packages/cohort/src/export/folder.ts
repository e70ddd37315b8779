/** The exported folder: written next to its final place and moved there when it is complete, so that it is never half-written. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { describeFileError, makeFolders } from '@cohort-ml/runs';
import { ExportError } from './errors.ts';
import { manifestPath, type ManifestFile } from './manifest.ts';

/** A file to write. */
export interface ExportedFile {
  /** With `/` between folders. */
  readonly path: string;
  readonly content: Uint8Array;
}

/** Size and digest of a file's content. */
export function describeFile(content: Uint8Array): ManifestFile {
  return { bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}

/** A text as a file. */
export function textFile(path: string, text: string): ExportedFile {
  return { path, content: Buffer.from(text, 'utf8') };
}

/** A value as a file of JSON. */
export function jsonFile(path: string, value: object): ExportedFile {
  return textFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Checks that a folder may be written.
 *
 * @throws {ExportError} for a file, for a folder that is not empty without `force`, and with it for one that no export made
 */
export function checkTarget(path: string, force: boolean): void {
  const folder = resolve(path);
  if (!existsSync(folder)) return;
  if (!lstatSync(folder).isDirectory()) {
    throw new ExportError(
      `${folder} is ${lstatSync(folder).isSymbolicLink() ? 'a symbolic link' : 'a file'}, not a folder. Name another folder with --out.`,
    );
  }
  if (readdirSync(folder).length === 0) return;
  if (!force) {
    throw new ExportError(
      `The folder ${folder} is not empty. Name another one with --out, or replace it with --force.`,
    );
  }
  if (isExport(folder)) return;
  throw new ExportError(
    `The folder ${folder} was not written by cohort export, so --force does not replace it. Name another one with --out, or empty it yourself.`,
  );
}

function isExport(folder: string): boolean {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, manifestPath), 'utf8'));
    return (
      typeof manifest === 'object' &&
      manifest !== null &&
      'format' in manifest &&
      (manifest.format === 'cohort-export' || manifest.format === 'cohort-task-export')
    );
  } catch {
    return false;
  }
}

function removeIfThere(folder: string): void {
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
}

/**
 * Writes all files, or none: a folder that was there stays until the new one is complete.
 *
 * @throws {ExportError} where the folder was filled meanwhile, {RunError} where it cannot be written
 */
export function writeFolder(path: string, files: readonly ExportedFile[], force: boolean): void {
  const folder = resolve(path);
  const suffix = randomUUID().slice(0, 8);
  const hidden = (purpose: string): string =>
    join(dirname(folder), `.${basename(folder)}.${purpose}-${suffix}`);
  const staged = hidden('partial');
  const replaced = hidden('replaced');
  try {
    makeFolders(staged);
    for (const { path: place, content } of files) {
      const file = join(staged, place);
      makeFolders(dirname(file));
      writeFileSync(file, content, { flush: true });
    }
    // Somebody may have filled it while the networks were measured.
    checkTarget(folder, force);
    const isThere = existsSync(folder);
    if (isThere) renameSync(folder, replaced);
    try {
      renameSync(staged, folder);
    } catch (error) {
      if (isThere) renameSync(replaced, folder);
      throw error;
    }
    rmSync(replaced, { recursive: true, force: true });
  } catch (error) {
    if (error instanceof ExportError) throw error;
    throw describeFileError(error, 'write the export', folder);
  } finally {
    removeIfThere(staged);
  }
}
