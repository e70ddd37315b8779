/** Image files for benchmarks: made up, the same everywhere, with the size and detail of real ones. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

/** Bytes of a linear congruential generator (Park and Miller): noise that needs no storage. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length }, () => (state = (state * 48271) % 2147483647) & 0xff);
}

/** JPEGs of 500x375, smooth with some grain, so that they are about as large as photos; four classes. */
export async function writePhotos(folder: string, count: number, signal: AbortSignal): Promise<string[]> {
  const paths: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const place = join(folder, 'photos', `class ${index % 4}`);
    mkdirSync(place, { recursive: true });
    const path = join(place, `${index}.jpg`);
    paths.push(path);
    signal.throwIfAborted();
    // Another case has made them already.
    if (existsSync(path)) continue;
    const grain = await sharp(noise(250 * 188 * 3, index + count), {
      raw: { width: 250, height: 188, channels: 3 },
    })
      .resize(500, 375)
      .ensureAlpha(0.15)
      .png({ compressionLevel: 0 })
      .toBuffer();
    const smooth = await sharp(noise(40 * 30 * 3, index), { raw: { width: 40, height: 30, channels: 3 } })
      .resize(500, 375, { kernel: 'cubic' })
      .png({ compressionLevel: 0 })
      .toBuffer();
    await sharp(smooth)
      .composite([{ input: grain }])
      .removeAlpha()
      .jpeg({ quality: 85 })
      .toFile(path);
  }
  return paths;
}

/** PNGs of 32x32. */
export async function writeIcons(folder: string, count: number): Promise<string[]> {
  mkdirSync(join(folder, 'icons'), { recursive: true });
  const paths = Array.from({ length: count }, (_, index) => join(folder, 'icons', `${index}.png`));
  for (const [index, path] of paths.entries()) {
    await sharp(noise(32 * 32 * 3, index), { raw: { width: 32, height: 32, channels: 3 } })
      .png()
      .toFile(path);
  }
  return paths;
}
