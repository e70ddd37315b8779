/** Reads TIFF as cameras, microscopes and satellites write it: any depth, floats, more bands than a picture has. */
import { cmykToRgb, orientImage, type PixelImage } from '@cohort-ml/runtime';
import type { GeoTIFFImage } from 'geotiff';
import {
  rangeOf,
  SampleError,
  samplesToBytes,
  withAlpha,
  type SampleRange,
  type Samples,
} from './samples.ts';

/** The first page of a TIFF and what its tags say. */
export interface TiffPage {
  readonly width: number;
  readonly height: number;
  readonly bits: readonly number[];
  readonly format: number;
  readonly photometric: number;
  /** What bands beyond the colours mean: 0 unknown, 1 premultiplied alpha, 2 alpha. */
  readonly extraSamples: readonly number[];
  readonly bands: number;
  readonly orientation: number;
  readonly pages: number;
  readonly declared: SampleRange | undefined;
  readonly image: GeoTIFFImage;
}

const MIN_IS_WHITE = 0;
const MIN_IS_BLACK = 1;
const RGB = 2;
const PALETTE = 3;
const CMYK = 5;
/** Colour bands of each photometric interpretation: mask, CMYK, YCbCr and the kinds of Lab too. */
const COLOUR_BANDS = new Map([
  [MIN_IS_WHITE, 1],
  [MIN_IS_BLACK, 1],
  [RGB, 3],
  [PALETTE, 1],
  [4, 1],
  [CMYK, 4],
  [6, 3],
  [8, 3],
  [9, 3],
]);

/** True for the first bytes of a TIFF or BigTIFF, of either byte order. */
export function isTiff(content: Uint8Array): boolean {
  const [a, b, c, d] = content;
  if (a === 0x49 && b === 0x49) return (c === 42 || c === 43) && d === 0;
  return a === 0x4d && b === 0x4d && c === 0 && (d === 42 || d === 43);
}

/** Reads the tags of the first page. @throws {Error} for a damaged file */
export async function openTiff(content: Buffer): Promise<TiffPage> {
  const { fromArrayBuffer } = await import('geotiff');
  const { buffer, byteOffset, byteLength } = content;
  const tiff = await fromArrayBuffer(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
  const image = await tiff.getImage();
  const directory = image.fileDirectory;
  const numbers = async (tag: number): Promise<number[]> => {
    if (!directory.hasTag(tag)) return [];
    const value: unknown = await directory.loadValue(tag);
    if (typeof value === 'number') return [value];
    return isNumbers(value) ? Array.from(value, Number) : [];
  };
  const [bits, format, photometric, extraSamples, orientation] = await Promise.all(
    [258, 339, 262, 338, 274].map(numbers),
  );
  return {
    width: image.getWidth(),
    height: image.getHeight(),
    bands: image.getSamplesPerPixel(),
    bits: bits === undefined || bits.length === 0 ? [1] : bits,
    format: format?.[0] ?? 1,
    photometric: photometric?.[0] ?? MIN_IS_BLACK,
    extraSamples: extraSamples ?? [],
    orientation: orientation?.[0] ?? 1,
    pages: await tiff.getImageCount(),
    declared: await declaredRange(numbers, format?.[0] ?? 1),
    image,
  };
}

function isNumbers(value: unknown): value is ArrayLike<number> {
  return typeof value === 'object' && value !== null && 'length' in value;
}

/** Of floats the range that the file states; of integers only a whole number of bits, since many state what occurs. */
async function declaredRange(
  numbers: (tag: number) => Promise<number[]>,
  format: number,
): Promise<SampleRange | undefined> {
  const [whiteTag, blackTag] = format === 3 ? [341, 340] : [281, 280];
  const white = (await numbers(whiteTag))[0];
  const black = (await numbers(blackTag))[0] ?? 0;
  if (white === undefined || !Number.isFinite(white) || !Number.isFinite(black)) return undefined;
  if (format === 3) return { black, white };
  return black === 0 && white > 1 && Number.isInteger(Math.log2(white + 1)) ? { black, white } : undefined;
}

/** An ordinary picture, of which any decoder makes the same: up to 8 bits, and every band a colour or straight alpha. */
export function isOrdinaryTiff(page: TiffPage): boolean {
  const colours = COLOUR_BANDS.get(page.photometric);
  const extras = page.bands - (colours ?? NaN);
  return (
    page.format === 1 &&
    page.bits.every((bits) => bits <= 8) &&
    (extras === 0 || (extras === 1 && page.extraSamples[0] === 2 && page.photometric <= RGB))
  );
}

/** True where the picture has no colour. */
export function isGreyTiff({ photometric, bands, extraSamples }: TiffPage): boolean {
  if (photometric > MIN_IS_BLACK) return false;
  return bands - extraSamples.length === 1 || bands <= 2;
}

/**
 * The pixels of an extraordinary TIFF, scaled to 8 bits by their true range, upright.
 * @throws {SampleError} where its bands or values cannot be told apart
 * @throws {Error} for a damaged file or a compression that cannot be read
 */
export async function readTiffPixels(page: TiffPage): Promise<PixelImage> {
  const { width, height } = page;
  const { colours, alpha } = bandsOf(page);
  const samples = await samplesOf(page);
  const bytes = samplesToBytes(samples, colours);
  if (page.photometric === MIN_IS_WHITE)
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = 255 - (bytes[at] ?? 0);
  const upright = (pixels: PixelImage): PixelImage =>
    orientImage(pixels, page.orientation >= 1 && page.orientation <= 8 ? page.orientation : 1);
  if (page.photometric === CMYK) return upright(cmykToRgb(width, height, bytes));
  if (alpha === null) {
    return upright({ width, height, channels: colours.length === 1 ? 1 : 3, data: bytes });
  }
  const opacity = samplesToBytes({ ...samples, declared: undefined }, [alpha.band]);
  const data = withAlpha(bytes, opacity, alpha.isPremultiplied);
  return upright({ width, height, channels: colours.length === 1 ? 2 : 4, data });
}

async function samplesOf(page: TiffPage): Promise<Samples> {
  return {
    width: page.width,
    height: page.height,
    bands: page.bands,
    data: await page.image.readRasters({ interleave: true }),
    format: sampleFormat(page.format),
    bits: Math.max(...page.bits),
    declared: page.declared,
  };
}

/** True for samples of more than 8 bits whose range the file does not say. */
export function isDeepTiff({ format, bits, declared }: TiffPage): boolean {
  return declared === undefined && (format !== 1 || bits.some((depth) => depth > 8));
}

/** The range that its colours are scaled by. @throws as {@link readTiffPixels} */
export async function tiffRange(page: TiffPage): Promise<SampleRange> {
  return rangeOf(await samplesOf(page), bandsOf(page).colours);
}

interface Bands {
  readonly colours: readonly number[];
  readonly alpha: { readonly band: number; readonly isPremultiplied: boolean } | null;
}

/** Which bands are the picture. Three bands that the file calls grey are shown as red, green and blue, as viewers do. */
function bandsOf({ photometric, bands, extraSamples, bits }: TiffPage): Bands {
  const isDeepPalette = photometric === PALETTE && bits.some((depth) => depth > 8);
  const known = [MIN_IS_WHITE, MIN_IS_BLACK, RGB, CMYK].includes(photometric);
  if (!known || isDeepPalette) {
    throw new SampleError(`its colours are of a kind that cannot be read (photometric ${photometric})`);
  }
  const count = COLOUR_BANDS.get(photometric) ?? 1;
  const first = bands - extraSamples.length > 0 ? bands - extraSamples.length : count;
  const position = extraSamples.findIndex((meaning) => meaning === 1 || meaning === 2);
  const alpha =
    position < 0 || photometric === CMYK
      ? null
      : { band: first + position, isPremultiplied: extraSamples[position] === 1 };
  const others = bands - (alpha === null ? 0 : 1);
  if (count === 1 && others === 3) return { colours: [0, 1, 2], alpha };
  if (others < count || (count === 1 && others > 1)) {
    throw new SampleError(
      `it has ${bands} bands, and the file does not say which of them are ${count === 1 ? 'red, green and blue, or alpha' : 'its colours'}`,
    );
  }
  return { colours: Array.from({ length: count }, (_, band) => band), alpha };
}

function sampleFormat(format: number): Samples['format'] {
  if (format === 1 || format === 4) return 'unsigned';
  if (format === 2) return 'signed';
  if (format === 3) return 'float';
  throw new SampleError('its samples are complex numbers');
}
