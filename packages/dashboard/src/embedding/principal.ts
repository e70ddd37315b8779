/** Leading principal components of some thousand embeddings by subspace iteration, which never forms the width-by-width covariance. */

const ROUNDS = 12;
/** Directions beyond those asked for: they make the last ones converge. */
const SPARE = 6;

/** Images in their leading components. */
export interface Components {
  /** `[count, width]`, centred. */
  readonly scores: Float64Array;
  readonly width: number;
  /** Share of the whole variance of each component. */
  readonly shares: readonly number[];
}

/**
 * @param values `[count, size]`; rows with a value that is not finite count as the mean
 * @param wanted most components; fewer where there are fewer dimensions
 */
export function principalComponents(
  values: ArrayLike<number>,
  count: number,
  size: number,
  wanted: number,
): Components {
  const centred = centre(values, count, size);
  const total = centred.reduce((sum, value) => sum + value * value, 0);
  const width = Math.min(wanted, size, Math.max(1, count - 1));
  if (count === 0 || size === 0 || !(total > 0)) {
    return { scores: new Float64Array(count * width), width, shares: new Array<number>(width).fill(0) };
  }
  const directions = Math.min(width + SPARE, size);
  // A fixed start: the same embeddings give the same picture.
  let basis = Float64Array.from({ length: size * directions }, (_, index) => scattered(index));
  orthonormalise(basis, size, directions);
  let scores = multiply(centred, basis, count, size, directions);
  for (let round = 0; round < ROUNDS; round += 1) {
    basis = multiplyTransposed(centred, scores, count, size, directions);
    orthonormalise(basis, size, directions);
    scores = multiply(centred, basis, count, size, directions);
  }
  return rotate(scores, count, directions, width, total);
}

/** Numbers around zero without a pattern that a few directions could hold. */
function scattered(index: number): number {
  const value = Math.sin((index + 1) * 12.9898) * 43_758.5453;
  return value - Math.floor(value) - 0.5;
}

function centre(values: ArrayLike<number>, count: number, size: number): Float64Array {
  const centred = new Float64Array(count * size);
  for (let column = 0; column < size; column += 1) {
    let sum = 0;
    let finite = 0;
    for (let row = 0; row < count; row += 1) {
      const value = values[row * size + column] ?? NaN;
      if (!Number.isFinite(value)) continue;
      sum += value;
      finite += 1;
    }
    const mean = finite === 0 ? 0 : sum / finite;
    for (let row = 0; row < count; row += 1) {
      const value = values[row * size + column] ?? NaN;
      centred[row * size + column] = Number.isFinite(value) ? value - mean : 0;
    }
  }
  return centred;
}

/** `[count, size] x [size, directions]`. */
function multiply(
  left: Float64Array,
  right: Float64Array,
  count: number,
  size: number,
  directions: number,
): Float64Array<ArrayBuffer> {
  const product = new Float64Array(count * directions);
  for (let row = 0; row < count; row += 1) {
    for (let inner = 0; inner < size; inner += 1) {
      addScaled(product, row, left[row * size + inner] ?? 0, right, inner, directions);
    }
  }
  return product;
}

/** `[count, size]` transposed `x [count, directions]`. */
function multiplyTransposed(
  left: Float64Array,
  right: Float64Array,
  count: number,
  size: number,
  directions: number,
): Float64Array<ArrayBuffer> {
  const product = new Float64Array(size * directions);
  for (let row = 0; row < count; row += 1) {
    for (let inner = 0; inner < size; inner += 1) {
      addScaled(product, inner, left[row * size + inner] ?? 0, right, row, directions);
    }
  }
  return product;
}

/** Adds `factor` times a row of `right` to a row of `product`; rows are `width` long. */
function addScaled(
  product: Float64Array,
  row: number,
  factor: number,
  right: Float64Array,
  from: number,
  width: number,
): void {
  if (factor === 0) return;
  for (let column = 0; column < width; column += 1) {
    const at = row * width + column;
    product[at] = (product[at] ?? 0) + factor * (right[from * width + column] ?? 0);
  }
}

/** Gram and Schmidt, twice for accuracy; a column that vanishes becomes zero. */
function orthonormalise(basis: Float64Array, size: number, directions: number): void {
  for (let column = 0; column < directions; column += 1) {
    for (let pass = 0; pass < 2; pass += 1) {
      for (let before = 0; before < column; before += 1) {
        let overlap = 0;
        for (let row = 0; row < size; row += 1) {
          overlap += (basis[row * directions + column] ?? 0) * (basis[row * directions + before] ?? 0);
        }
        for (let row = 0; row < size; row += 1) {
          const at = row * directions + column;
          basis[at] = (basis[at] ?? 0) - overlap * (basis[row * directions + before] ?? 0);
        }
      }
    }
    let norm = 0;
    for (let row = 0; row < size; row += 1) norm += (basis[row * directions + column] ?? 0) ** 2;
    norm = Math.sqrt(norm);
    for (let row = 0; row < size; row += 1) {
      const at = row * directions + column;
      basis[at] = norm > 1e-12 ? (basis[at] ?? 0) / norm : 0;
    }
  }
}

/** Turns the subspace so that its axes are the components, the largest first; signs are chosen so that the largest score is positive. */
function rotate(
  scores: Float64Array,
  count: number,
  directions: number,
  width: number,
  total: number,
): Components {
  const gram = multiplyTransposed(scores, scores, count, directions, directions);
  const { values, vectors } = symmetricEigen(gram, directions);
  const order = [...values.keys()].sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0)).slice(0, width);
  const turned = new Float64Array(count * width);
  order.forEach((from, column) => {
    let largest = 0;
    for (let row = 0; row < count; row += 1) {
      let sum = 0;
      for (let inner = 0; inner < directions; inner += 1) {
        sum += (scores[row * directions + inner] ?? 0) * (vectors[inner * directions + from] ?? 0);
      }
      turned[row * width + column] = sum;
      if (Math.abs(sum) > Math.abs(largest)) largest = sum;
    }
    if (largest >= 0) return;
    for (let row = 0; row < count; row += 1) {
      turned[row * width + column] = -(turned[row * width + column] ?? 0);
    }
  });
  return { scores: turned, width, shares: order.map((from) => Math.max(0, values[from] ?? 0) / total) };
}

/** Jacobi's rotations; for matrices of some tens of rows. */
function symmetricEigen(matrix: Float64Array, size: number): { values: Float64Array; vectors: Float64Array } {
  const work = Float64Array.from(matrix);
  const vectors = new Float64Array(size * size);
  for (let index = 0; index < size; index += 1) vectors[index * size + index] = 1;
  const get = (row: number, column: number): number => work[row * size + column] ?? 0;
  for (let sweep = 0; sweep < 30; sweep += 1) {
    let outside = 0;
    for (let p = 0; p < size; p += 1) for (let q = p + 1; q < size; q += 1) outside += get(p, q) ** 2;
    if (outside < 1e-18) break;
    for (let p = 0; p < size; p += 1) {
      for (let q = p + 1; q < size; q += 1) {
        if (Math.abs(get(p, q)) < 1e-300) continue;
        const theta = (get(q, q) - get(p, p)) / (2 * get(p, q));
        const tangent = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const cosine = 1 / Math.sqrt(tangent * tangent + 1);
        turnPair(work, vectors, size, p, q, cosine, tangent * cosine);
      }
    }
  }
  return { values: Float64Array.from({ length: size }, (_, index) => get(index, index)), vectors };
}

function turnPair(
  work: Float64Array,
  vectors: Float64Array,
  size: number,
  p: number,
  q: number,
  cosine: number,
  sine: number,
): void {
  const turn = (array: Float64Array, first: number, second: number): void => {
    const [a, b] = [array[first] ?? 0, array[second] ?? 0];
    array[first] = cosine * a - sine * b;
    array[second] = sine * a + cosine * b;
  };
  for (let k = 0; k < size; k += 1) turn(work, k * size + p, k * size + q);
  for (let k = 0; k < size; k += 1) turn(work, p * size + k, q * size + k);
  for (let k = 0; k < size; k += 1) turn(vectors, k * size + p, k * size + q);
}
