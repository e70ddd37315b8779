/** What a page needs to know of the task of its network: each task has a script of its own, which carries nothing of the others. */
import type { Manifest } from '../classifier/manifest.ts';
import type { ExportedFiles, ExportOptions } from '../classifier/open.ts';
import type { TaskManifest } from '../tasks/taskManifest.ts';
import type { PageElements } from './elements.ts';
import type { View } from './view.ts';

/** Makes the part of the page that shows the answers of a loaded network; `redo` answers for the picture once more. */
export type MakeView = (elements: PageElements, redo: () => void) => View;

export interface PageTask<Any extends Manifest | TaskManifest> {
  /** What the network is, for the title. */
  readonly kind: string;
  /** What several networks of an export are called. */
  readonly several: string;
  /** Checks a manifest of the task. */
  read(value: unknown): Any;
  /** Loads a network. */
  load(source: Any | ExportedFiles, options: ExportOptions): Promise<MakeView>;
}
