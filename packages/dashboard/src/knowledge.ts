/** What the dashboard can show only with help from the program around it, which knows recipes and images; this package does not. */

/** Asks for one held-out image of a run. */
export interface ImageRequest {
  /** Text of the run's resolved recipe. */
  readonly recipe: string;
  readonly split: 'test' | 'validation';
  /** Position in the split, from 0. */
  readonly index: number;
}

/** Help from outside; every part may be missing, and the pages then do without. */
export interface RunKnowledge {
  /** The settings that a recipe would have if it said only its dataset, models and method; null where that is not known. */
  readonly defaults?: (recipe: string) => Promise<unknown>;
  /** Files of the page that runs an exported network, by name, `index.html` among them; null where it is not installed. */
  readonly tryPage?: () => Promise<ReadonlyMap<string, Uint8Array> | null>;
  /** The image as PNG; null where the dataset or the image is not there. */
  readonly image?: (request: ImageRequest) => Promise<Uint8Array | null>;
}
