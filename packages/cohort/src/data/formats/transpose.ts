/** Turns pictures that are stored column by column (STL-10, EMNIST) into rows, as everything else here has them. */

/**
 * Transposes every square plane of `size` x `size` bytes: `[planes, W, H] -> [planes, H, W]`.
 * @returns a new array; the input stays as it is.
 */
export function transposePlanes(pixels: Uint8Array, size: number): Uint8Array {
  const result = new Uint8Array(pixels.length);
  const planeBytes = size * size;
  for (let start = 0; start < pixels.length; start += planeBytes) {
    for (let row = 0; row < size; row += 1) {
      const target = start + row * size;
      for (let column = 0; column < size; column += 1) {
        result[target + column] = pixels[start + column * size + row] ?? 0;
      }
    }
  }
  return result;
}
