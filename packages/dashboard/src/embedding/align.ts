/** Turns one picture of points onto another of the same points (orthogonal Procrustes in the plane), so that networks can be compared by eye. */

/**
 * Rotates, mirrors where that fits better, and scales `points` to lie as near to `target` as they can.
 * @param target `[count, 2]`
 * @param points `[count, 2]`, the same images in the same order
 * @returns `[count, 2]`
 */
export function alignTo(target: ArrayLike<number>, points: ArrayLike<number>): Float64Array {
  const count = points.length / 2;
  const [targetX, targetY] = meanOf(target, count);
  const [meanX, meanY] = meanOf(points, count);
  let [xx, xy, yx, yy, square] = [0, 0, 0, 0, 0];
  for (let index = 0; index < count; index += 1) {
    const x = (points[index * 2] ?? 0) - meanX;
    const y = (points[index * 2 + 1] ?? 0) - meanY;
    const tx = (target[index * 2] ?? 0) - targetX;
    const ty = (target[index * 2 + 1] ?? 0) - targetY;
    xx += x * tx;
    xy += x * ty;
    yx += y * tx;
    yy += y * ty;
    square += x * x + y * y;
  }
  // In complex numbers: the best turn is the sum's direction, its length the fit.
  const turned = { real: xx + yy, imaginary: xy - yx };
  const mirrored = { real: xx - yy, imaginary: xy + yx };
  const isMirrored =
    Math.hypot(mirrored.real, mirrored.imaginary) > Math.hypot(turned.real, turned.imaginary);
  const { real, imaginary } = isMirrored ? mirrored : turned;
  const [cosine, sine] = square > 0 ? [real / square, imaginary / square] : [1, 0];
  const aligned = new Float64Array(count * 2);
  for (let index = 0; index < count; index += 1) {
    const x = (points[index * 2] ?? 0) - meanX;
    const y = ((points[index * 2 + 1] ?? 0) - meanY) * (isMirrored ? -1 : 1);
    aligned[index * 2] = cosine * x - sine * y + targetX;
    aligned[index * 2 + 1] = sine * x + cosine * y + targetY;
  }
  return aligned;
}

function meanOf(points: ArrayLike<number>, count: number): [number, number] {
  let [x, y] = [0, 0];
  for (let index = 0; index < count; index += 1) {
    x += points[index * 2] ?? 0;
    y += points[index * 2 + 1] ?? 0;
  }
  return count === 0 ? [0, 0] : [x / count, y / count];
}
