/** Compares the ranges that deep pictures of a set are scaled by, because each is scaled by its own and equal values may come out unequally bright. */
import { deepRange } from '../../decode/deepRange.ts';
import { loadSharp } from '../../loading/decodeImage.ts';
import { mapPool } from '../../loading/pool.ts';
import { readDataFile } from '../../loading/readFile.ts';
import { imagesInFlight, MAXIMUM_FILE_BYTES } from '../inspect.ts';
import { countOf, firstNames, type FoundImage } from '../listing.ts';

/** Deep pictures that are looked at; more would only take time. */
const SAMPLE = 256;

/** A warning where the ranges differ; none where all are the same. @param deep indices of pictures of more than 8 bits */
export async function rangeWarnings(
  images: readonly FoundImage[],
  deep: readonly number[],
  signal?: AbortSignal,
): Promise<string[]> {
  if (deep.length < 2) return [];
  const sharp = await loadSharp();
  const step = Math.ceil(deep.length / SAMPLE);
  const sample = deep.filter((_, place) => place % step === 0);
  const ranges = await mapPool(
    sample,
    imagesInFlight(),
    async (index) => {
      try {
        const content = await readDataFile(images[index]?.path ?? '', {
          operation: 'looking at image',
          maximumBytes: MAXIMUM_FILE_BYTES,
          remedyWhenMissing: 'Check the path.',
        });
        return await deepRange(sharp, content);
      } catch {
        // Unreadable files are reported with the broken ones.
        return null;
      }
    },
    signal,
  );
  const groups = new Map<string, string[]>();
  for (const [place, range] of ranges.entries()) {
    if (range === null) continue;
    const text = `${range.black} to ${range.white}`;
    groups.set(text, [...(groups.get(text) ?? []), images[sample[place] ?? 0]?.name ?? '']);
  }
  if (groups.size < 2) return [];
  const shown = [...groups]
    .sort(([, left], [, right]) => right.length - left.length)
    .map(([text, names]) => `${text} (${countOf(names.length, 'image')}, such as ${names[0] ?? ''})`);
  const those = step === 1 ? '' : ` of ${sample.length} that were looked at`;
  return [
    `pictures of more than 8 bits${those} have different ranges, and each is scaled by its own, so that equal values come out unequally bright: ${firstNames(shown, 5)}. Where the values are of one scale, save all as 8-bit pictures scaled alike.`,
  ];
}
