/** The web page of an exported folder, which the runtime package has ready. */
import { ExportError } from '../errors.ts';
import { textFile, type ExportedFile } from '../folder.ts';
import { importOptional } from '../importOptional.ts';
import type { ExportManifest } from '../manifest.ts';
import type { TaskExportManifest } from '../tasks/taskManifest.ts';

const pageModule = '@cohort-ml/runtime/page';

/** What is used of the runtime's page. */
export interface Page {
  /** Content of its files by their path, for a network of this manifest. */
  readonly pageFiles: (manifest: unknown) => Promise<Readonly<Record<string, Uint8Array>>>;
  /** The page as one file of HTML, with the network inside. */
  readonly buildSingleFile: (content: {
    readonly manifest: unknown;
    readonly files: Readonly<Record<string, Uint8Array>>;
  }) => Promise<string>;
}

/** @throws {ExportError} when the runtime is not installed or not built */
export async function openPage(): Promise<Page> {
  const found = await importOptional(pageModule, () => import(pageModule) as Promise<Page>);
  if (found !== null) return found.module;
  throw new ExportError(
    'The web page is part of @cohort-ml/runtime, which is not installed or not built. Install it (npm install @cohort-ml/runtime), or leave out --page and --single-file.',
  );
}

/** The page's files, which look for the network in their own folder. */
export async function pageFiles(
  page: Page,
  manifest: ExportManifest | TaskExportManifest,
): Promise<ExportedFile[]> {
  return Object.entries(await page.pageFiles(manifest)).map(([path, content]) => ({ path, content }));
}

/** The page with the network inside. */
export async function singleFilePage(
  page: Page,
  manifest: ExportManifest | TaskExportManifest,
  models: readonly ExportedFile[],
): Promise<ExportedFile> {
  const files = Object.fromEntries(models.map(({ path, content }) => [path, content]));
  return textFile('index.html', await page.buildSingleFile({ manifest, files }));
}
