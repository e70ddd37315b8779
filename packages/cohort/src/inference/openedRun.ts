/** What a run has, for callers who check their own wishes against it before anything is decoded. */
import type { LoadedRun } from './loadRun.ts';

/** The names in a run. */
export interface OpenedRun {
  /** Names of its networks. */
  readonly networks: readonly string[];
  readonly classes: readonly string[];
}

/** Called once the run is open and before any image is; what it throws ends the call. */
export type OnOpened = (run: OpenedRun) => void;

/** The names in a loaded run. */
export function openedRun({ names, checkpoint }: LoadedRun): OpenedRun {
  return { networks: names, classes: checkpoint.classes };
}
