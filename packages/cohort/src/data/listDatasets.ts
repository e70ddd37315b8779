/** What datasets there are, and which of them have files on this machine: `cohort data list`. */
import type { DatasetOptions, ImageShape } from './dataset.ts';
import { datasetEntries } from './registry.ts';

/** A dataset that has files of its own, as `cohort data list` shows it. */
export interface DatasetListing {
  readonly name: string;
  readonly title: string;
  readonly classes: number;
  readonly trainImages: number;
  readonly testImages: number;
  readonly shape: ImageShape;
  readonly licence: string;
  readonly homepage: string;
  /** Folder or archive that would be read; null where there is none. */
  readonly path: string | null;
  /** About how much has to be downloaded; null where that is not known. */
  readonly megabytes: number | null;
}

/** Lists the datasets by name and looks for their files, without reading them. */
export async function listDatasets(options: DatasetOptions = {}): Promise<DatasetListing[]> {
  const listings = await Promise.all(
    datasetEntries().map(async ({ name, about, find }): Promise<DatasetListing[]> => {
      if (about === undefined) return [];
      const { title, classes, trainImages, testImages, shape, licence, homepage, origin } = about;
      const path = find === undefined ? null : await find(options);
      const megabytes =
        origin.kind === 'download' ? origin.files.reduce((sum, file) => sum + file.megabytes, 0) : null;
      return [{ name, title, classes, trainImages, testImages, shape, licence, homepage, path, megabytes }];
    }),
  );
  return listings.flat();
}
