/** What the build and the page around the script provide. */
import type { SharedData } from '../src/api/shared.ts';

declare global {
  /** True in the script of pages that are written to a file. */
  const __SHARED__: boolean;
  interface Window {
    /** Data of a page that is written to a folder. */
    cohortData?: SharedData;
  }
}
