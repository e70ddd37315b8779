/** What is known about a dataset before its files are there: size, licence, and how to get it; for `cohort data` and its messages. */
import type { PackageInstaller } from './emoji/packages.ts';
import type { ImageShape } from './imageShape.ts';

/** A file that a dataset's site offers. */
export interface RemoteFile {
  /** Name that it is stored under. */
  readonly name: string;
  /** Where to get it, tried in order: the dataset's own site first. */
  readonly urls: readonly string[];
  /** As published by the site, in lower-case hexadecimal. */
  readonly checksum: { readonly algorithm: 'md5' | 'sha256'; readonly value: string };
  /** About how large, for the user's decision. */
  readonly megabytes: number;
}

/** Files to download and what to do with them. */
export interface Download {
  readonly files: readonly RemoteFile[];
  /**
   * For archives: where a member goes in the dataset's folder, or null to leave it out. Absent: the files are kept as they
   * are.
   */
  readonly unpack?: (member: string) => string | null;
}

/** What a dataset that is made here is given. */
export interface MakeOptions {
  readonly signal?: AbortSignal;
  /** Something worth knowing, in a sentence. */
  readonly onMessage?: (text: string) => void;
  /** What is under way, in a few words. */
  readonly onProgress?: (text: string) => void;
  /** Installs packages of the npm registry; npm unless given. */
  readonly installPackages?: PackageInstaller;
}

/** How `cohort data fetch` gets a dataset. */
export type Origin =
  | ({ readonly kind: 'download' } & Download)
  /** Made here, of what its own code fetches. */
  | {
      readonly kind: 'made';
      /** Fills an empty folder with the dataset's files. */
      readonly make: (folder: string, options: MakeOptions) => Promise<void>;
      /** Digest that `cohort data fetch` comes to with the sharp that package-lock.json names. */
      readonly digest: string;
    }
  /** Only by hand; the text says how, in sentences. */
  | { readonly kind: 'manual'; readonly instructions: string };

/** A dataset in a few words. */
export interface DatasetAbout {
  readonly title: string;
  readonly licence: string;
  /** The dataset's own page. */
  readonly homepage: string;
  readonly classes: number;
  /** The usual one where images differ in size. */
  readonly shape: ImageShape;
  readonly trainImages: number;
  readonly testImages: number;
  /** Its folder inside of the cache and of `$COHORT_DATA`; several datasets may share one. */
  readonly folder: string;
  /** Where a package of the system puts it. */
  readonly systemFolder?: string;
  /** That package, as a command. */
  readonly systemPackage?: string;
  readonly origin: Origin;
}

/** How to get a dataset's files, as a sentence or two, for errors about missing files. */
export function howToGet(name: string, about: DatasetAbout): string {
  const packaged =
    about.systemPackage === undefined ? '' : `Install it (${about.systemPackage}), or fetch it: `;
  const fetching =
    about.origin.kind === 'manual'
      ? about.origin.instructions
      : `${packaged === '' ? 'Fetch it: ' : packaged}cohort data fetch ${name}.`;
  return `${fetching} Or say where the files are: data.path=FOLDER.`;
}
