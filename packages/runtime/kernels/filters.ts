/** Integer filters of 3x3 for Winograd's algorithm (arXiv 1509.09308, equation 8: `G g G^T`), eight output channels at a time. */

/** Nine vectors of one input channel, one lane per output channel, and nine of the next. */
const taps = memory.data(288);

/** Three vectors times the three numbers of a row of G, summed. */
// @ts-ignore: decorator
@inline
function combine(row: usize, a: v128, b: v128, c: v128): v128 {
  const first = i16x8.mul(v128.load16_splat(row), a), second = i16x8.mul(v128.load16_splat(row, 2), b);
  return i16x8.add(i16x8.add(first, second), i16x8.mul(v128.load16_splat(row, 4), c));
}

/** One column of a filter, whose vectors lie three apart. */
// @ts-ignore: decorator
@inline
function column(row: usize, from: usize): v128 {
  return combine(row, v128.load(from), v128.load(from, 48), v128.load(from, 96));
}

/**
 * Int16 `[outputs, inputs, 3, 3]`, at most eight outputs, to `side * side` parts that lie `part` bytes apart:
 * `[inputs / 2][8][2]`. At `rows` stand the `side` rows of G, int16. Everything is computed modulo 2^16.
 */
export function packFilters(
  weights: usize, outputs: i32, inputs: i32, rows: usize, side: i32, target: usize, part: usize,
): void {
  const step = <usize>inputs * 18;
  memory.fill(taps, 0, 288);
  for (let input = 0; input < inputs; input++) {
    const second = input & 1;
    let to = taps + 144 * second;
    for (let tap = 0; tap < 9; tap++) {
      let from = weights;
      for (let output = 0; output < outputs; output++) {
        store<i16>(to + 2 * output, load<i16>(from));
        from += step;
      }
      weights += 2;
      to += 16;
    }
    if (!second) {
      if (input + 1 < inputs) continue;
      memory.fill(taps + 144, 0, 144);
    }
    let at = target;
    for (let y = 0; y < side; y++) {
      const row = rows + 6 * y;
      const a0 = column(row, taps), a1 = column(row, taps + 16), a2 = column(row, taps + 32);
      const b0 = column(row, taps + 144), b1 = column(row, taps + 160), b2 = column(row, taps + 176);
      for (let x = 0; x < side; x++) {
        const line = rows + 6 * x;
        const a = combine(line, a0, a1, a2), b = combine(line, b0, b1, b2);
        v128.store(at, i16x8.shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
        v128.store(at, i16x8.shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15), 16);
        at += part;
      }
    }
    target += 32;
  }
}
