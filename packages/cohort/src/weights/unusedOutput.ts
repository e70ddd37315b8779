/** Where imported weights may be written. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { WeightsError } from './errors.ts';

/**
 * Nothing that exists is lost by accident.
 *
 * @throws {@link WeightsError} `argument` for an existing file without `force`, and always for the source itself
 */
export function assertUnusedOutput(path: string, output: string, force: boolean): void {
  const isSource = resolve(output) === resolve(path);
  if (!existsSync(output) || (force && !isSource)) return;
  throw new WeightsError('argument', {
    operation: `importing ${path}`,
    expected: `no file ${output} yet`,
    received: isSource ? 'the source itself' : 'one',
    remedy: isSource
      ? 'Name another file with --output.'
      : 'Name another file with --output, or add --force.',
  });
}
