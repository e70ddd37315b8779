/** Copies weights that come with Cohort to a file of the user's, checked byte for byte. */
import { createHash } from 'node:crypto';
import { constants, copyFileSync, readFileSync } from 'node:fs';
import { errorCode, fileErrorReason } from '@cohort-ml/errors';
import { WeightsError, damagedFile } from './errors.ts';
import { findOffered, offeredFolder, offeredPath } from './offered.ts';

/** Where to. */
export interface CopyOptions {
  /** `NAME.safetensors` in the current folder unless given. */
  readonly output?: string;
  /** Replaces a file that is there. */
  readonly force?: boolean;
  /** Folder of the weights; that of Cohort unless given. */
  readonly folder?: string;
}

/** @throws {WeightsError} for a name that is unknown, a file that is there, and damage */
export function copyOffered(
  name: string,
  { output, force = false, folder = offeredFolder() }: CopyOptions = {},
): { readonly name: string; readonly output: string } {
  const found = findOffered(name, folder);
  const source = offeredPath(found, folder);
  const sha256 = createHash('sha256').update(readFileSync(source)).digest('hex');
  if (sha256 !== found.sha256) {
    throw new WeightsError('damaged', {
      operation: `reading ${source}`,
      expected: `the SHA-256 ${found.sha256}`,
      received: sha256,
      remedy: `${damagedFile} Installing Cohort again brings it back.`,
    });
  }
  const target = output ?? `${found.name}.safetensors`;
  try {
    copyFileSync(source, target, force ? 0 : constants.COPYFILE_EXCL);
  } catch (error) {
    const isThere = errorCode(error) === 'EEXIST';
    throw new WeightsError(isThere ? 'argument' : 'unreadable', {
      operation: `writing ${target}`,
      expected: isThere ? 'no file of that name' : 'a folder that can be written to',
      received: isThere ? 'one that is there' : fileErrorReason(error),
      remedy: isThere ? 'Choose another --output, or add --force.' : 'Choose another --output.',
      cause: error,
    });
  }
  return { name: found.name, output: target };
}
