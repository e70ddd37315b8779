/** Checks that a run's own images are still of the classes and the size that it was trained on. */
import { DataError, type ImageShape } from '../data/index.ts';
import type { LoadedRun } from './loadRun.ts';
import type { RecipeData } from '../cohort/images.ts';

/** The run's images are not those that it was trained with. */
export class ChangedDataError extends DataError {}

/** A folder may have changed since the run: other classes would give other labels the same numbers. @throws {@link DataError} `mismatch` */
export function assertSameData({ checkpoint }: Pick<LoadedRun, 'checkpoint'>, { dataset }: RecipeData): void {
  const { channels, height, width, classes } = checkpoint;
  const sizeOf = (shape: ImageShape): string => `${shape.height} x ${shape.width} x ${shape.channels}`;
  const differences: [expected: string, received: string][] = [];
  const missing = classes.filter((name) => !dataset.classes.includes(name));
  const added = dataset.classes.filter((name) => !classes.includes(name));
  if (missing.length + added.length > 0) {
    differences.push([
      `the ${classes.length} classes of the run`,
      [
        ...missing.slice(0, 3).map((name) => `none named '${name}'`),
        ...added.slice(0, 3).map((name) => `a new one '${name}'`),
      ].join(', '),
    ]);
  }
  if (sizeOf(dataset) !== sizeOf({ channels, height, width })) {
    differences.push([`images of ${sizeOf(checkpoint)}`, sizeOf(dataset)]);
  }
  const [first] = differences;
  if (first === undefined) return;
  throw new ChangedDataError('mismatch', {
    operation: `measuring the run on ${dataset.name}`,
    expected: first[0],
    received: first[1],
    remedy:
      'The images have changed since the run was made: bring them back, or measure on the folder as it is with --data FOLDER.',
  });
}
