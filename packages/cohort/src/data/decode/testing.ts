/** Image files that no library here writes, made byte by byte for tests. */

/** What a TIFF of {@link tiffFile} holds. */
export interface TiffOptions {
  readonly width: number;
  readonly height: number;
  readonly bands: number;
  readonly bits: number;
  /** 1 unsigned, 2 signed, 3 float. */
  readonly format?: number;
  readonly photometric?: number;
  readonly extraSamples?: readonly number[];
  readonly orientation?: number;
  /** Little-endian samples `[H, W, B]`. */
  readonly data: NodeJS.ArrayBufferView;
}

/** A baseline TIFF: one strip, no compression, little-endian. */
export function tiffFile(options: TiffOptions): Buffer {
  const { width, height, bands, bits, format = 1, photometric = 1, extraSamples = [], orientation } = options;
  const { buffer, byteOffset, byteLength } = options.data;
  const data = Buffer.from(buffer, byteOffset, byteLength);
  const every = (value: number): number[] => Array<number>(bands).fill(value);
  const strip: [number, number, number[]] = [273, 4, [0]];
  const tags: [number, number, readonly number[]][] = [
    [256, 4, [width]],
    [257, 4, [height]],
    [258, 3, every(bits)],
    [259, 3, [1]],
    [262, 3, [photometric]],
    strip,
    ...(orientation === undefined ? [] : [[274, 3, [orientation]] as [number, number, number[]]]),
    [277, 3, [bands]],
    [278, 4, [height]],
    [279, 4, [data.length]],
    [284, 3, [1]],
    ...(extraSamples.length === 0 ? [] : [[338, 3, extraSamples] as [number, number, readonly number[]]]),
    [339, 3, every(format)],
  ];
  const sizeOf = (type: number, values: readonly number[]): number => values.length * (type === 3 ? 2 : 4);
  const directory = Buffer.alloc(2 + 12 * tags.length + 4);
  let next = 8 + directory.length;
  const places = tags.map(([, type, values]) => {
    const size = sizeOf(type, values);
    const place = size <= 4 ? null : next;
    next += size <= 4 ? 0 : size;
    return place;
  });
  strip[2] = [next];
  directory.writeUInt16LE(tags.length, 0);
  const outside: Buffer[] = [];
  for (const [index, [tag, type, values]] of tags.entries()) {
    const at = 2 + 12 * index;
    directory.writeUInt16LE(tag, at);
    directory.writeUInt16LE(type, at + 2);
    directory.writeUInt32LE(values.length, at + 4);
    const bytes = Buffer.alloc(Math.max(4, sizeOf(type, values)));
    for (const [number, value] of values.entries()) {
      if (type === 3) bytes.writeUInt16LE(value, 2 * number);
      else bytes.writeUInt32LE(value, 4 * number);
    }
    const place = places[index] ?? null;
    if (place === null) bytes.copy(directory, at + 8, 0, 4);
    else {
      directory.writeUInt32LE(place, at + 8);
      outside.push(bytes);
    }
  }
  const header = Buffer.from([0x49, 0x49, 42, 0, 8, 0, 0, 0]);
  return Buffer.concat([header, directory, ...outside, data]);
}

/** A BMP of 24 or 32 bits a pixel, bottom up; `pixels` are `[H, W, 3]` or `[H, W, 4]`, red first. */
export function bmpFile(width: number, height: number, channels: 3 | 4, pixels: readonly number[]): Buffer {
  const stride = Math.ceil((width * channels) / 4) * 4;
  const file = Buffer.alloc(54 + stride * height);
  file.write('BM', 0, 'latin1');
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(54, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(8 * channels, 28);
  file.writeUInt32LE(stride * height, 34);
  const order = channels === 3 ? [2, 1, 0] : [2, 1, 0, 3];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (const [position, channel] of order.entries()) {
        const at = 54 + (height - 1 - y) * stride + x * channels + position;
        file[at] = pixels[(y * width + x) * channels + channel] ?? 0;
      }
    }
  }
  return file;
}
