/** What Emoji-Scenes come to with the pinned packages: whoever makes them again has the same pictures, or is told. */

/** How many scenes are made, and how large. */
export interface ScenesSize {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
  /** Side in pixels. */
  readonly size: number;
}

/** SHA-256 of pictures and annotations by training, validation and test scenes and side: the usual ones, and a few for a quick check. */
const digests: ReadonlyMap<string, string> = new Map([
  ['2000/250/500/128', '141b8cbb729a3f9311e7ebe0b180ecc7b9968687d44c03b58ed7eebaafc53902'],
  ['8/2/4/64', '763833a4045598f975627bf2094110f9045dc227a51121b7d3843f8b22379dd8'],
]);

/** Whether scenes are as recorded; null for sizes of which no digest is recorded. */
export function areAsRecorded({ train, validation, test, size }: ScenesSize, digest: string): boolean | null {
  const recorded = digests.get([train, validation, test, size].join('/'));
  return recorded === undefined ? null : recorded === digest;
}
