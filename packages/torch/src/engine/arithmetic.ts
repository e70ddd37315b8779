/**
 * The engine tests its own arithmetic before it is relied on: convolutions of common shapes, matrix products and batch
 * normalisation, forward and backward, in float32 and bfloat16, against float64. Convolutions of all other shapes are tested
 * by the native side at their first use (native/kernels/convolution/verdicts.cc).
 */
import { grad } from '../autograd.ts';
import { ArithmeticFaultError, TorchError } from '../errors.ts';
import { checked, native, openEngine, whenOpened } from '../native.ts';
import { scope } from '../scope.ts';
import { ops, Tensor } from '../tensor.ts';
import { readVerdicts, verdictPath, writeVerdicts, type StoredVerdicts } from './verdictFile.ts';

/** What was found. */
export interface ArithmeticReport {
  /** How many convolutions have been compared with the definition, each pass and layout counted. */
  readonly convolutions: number;
  /** Convolutions that the library computes wrongly, in words, with the way that is taken instead. */
  readonly detours: readonly { readonly what: string; readonly error: number; readonly route: string }[];
  /** What is wrong and has no way around: training is refused. */
  readonly faults: readonly string[];
}

/** Largest difference from float64, as a share of the largest number. */
const allowed = { float32: 1e-4, bfloat16: 2e-2 } as const;
type Precision = keyof typeof allowed;

/** `[inputs, outputs, kernel, side, stride, groups]` of convolutions that networks are made of. */
const usualShapes: readonly (readonly [number, number, number, number, number, number])[] = [
  [3, 16, 3, 32, 1, 1],
  [16, 16, 3, 16, 1, 1],
  [16, 32, 3, 16, 2, 1],
  [28, 12, 3, 16, 1, 1],
  [24, 12, 3, 15, 1, 1],
  [64, 64, 3, 8, 1, 1],
  [12, 48, 1, 9, 1, 1],
  [32, 64, 1, 8, 2, 1],
  [3, 64, 7, 32, 2, 1],
  [32, 32, 3, 8, 1, 32],
];

/** Numbers in [-1, 1) that look random and that bfloat16 holds exactly. */
function filled(shape: readonly number[], seed: number): Tensor {
  let state = seed >>> 0;
  const values = Float32Array.from({ length: shape.reduce((product, side) => product * side, 1) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 25) - 63.5) / 64;
  });
  return Tensor.fromTypedArray(values, shape);
}

function errorOf(given: Tensor, expected: Float64Array): number {
  const numbers = given.to('float64').toTypedArray();
  if (numbers.length !== expected.length) return NaN;
  let [largest, difference] = [0, 0];
  for (let index = 0; index < expected.length; index += 1) {
    const right = expected[index] ?? NaN;
    largest = Math.max(largest, Math.abs(right));
    difference = Math.max(difference, Math.abs(Number(numbers[index]) - right));
  }
  return difference / largest;
}

/** `left [rows, inner] x right [inner, columns]`, by the definition. */
function product(left: Float64Array, right: Float64Array, inner: number): Float64Array {
  const [rows, columns] = [left.length / inner, right.length / inner];
  return Float64Array.from({ length: rows * columns }, (_, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    let sum = 0;
    for (let k = 0; k < inner; k += 1)
      sum += (left[row * inner + k] ?? NaN) * (right[k * columns + column] ?? NaN);
    return sum;
  });
}

function transposed(matrix: Float64Array, columns: number): Float64Array {
  const rows = matrix.length / columns;
  return matrix.map((_, index) => matrix[(index % rows) * columns + Math.floor(index / rows)] ?? NaN);
}

const wide = (tensor: Tensor): Float64Array => Float64Array.from(tensor.to('float64').toNumbers());

function percent(share: number): string {
  return `${(share * 100).toPrecision(2)} %`;
}

/** Names what exceeds the bound; NaN does. */
function faultOf(what: string, precision: Precision, error: number): string[] {
  if (error <= allowed[precision]) return [];
  return [`${what} in ${precision} is off by ${percent(error)}`];
}

/** A linear layer's product and its two gradients, in the three arrangements of operands that they take. */
function checkProducts(precision: Precision): string[] {
  const [rows, inner, columns] = [33, 70, 29];
  const left = filled([rows, inner], 5).to(precision);
  const right = filled([inner, columns], 6).to(precision);
  const slopes = filled([rows, columns], 7).to(precision);
  left.requiresGrad = true;
  right.requiresGrad = true;
  const output = ops.matmul(left, right);
  const [ofLeft, ofRight] = grad(output, [left, right], { gradients: [slopes] });
  const [a, b, g] = [wide(left), wide(right), wide(slopes)];
  const faults = [
    ...faultOf('the matrix product', precision, errorOf(output, product(a, b, inner))),
    ...(ofLeft === undefined || ofRight === undefined
      ? ['a matrix product has no gradients']
      : [
          ...faultOf(
            'the gradient of a matrix product by its left side',
            precision,
            errorOf(ofLeft, product(g, transposed(b, columns), columns)),
          ),
          ...faultOf(
            'the gradient of a matrix product by its right side',
            precision,
            errorOf(ofRight, product(transposed(a, inner), g, rows)),
          ),
        ]),
  ];
  const batch = ops.bmm(left.detach().unsqueeze(0), right.detach().unsqueeze(0));
  return [...faults, ...faultOf('the batched product', precision, errorOf(batch, product(a, b, inner)))];
}

/** Batch normalisation of `[B, C, H, W]` in training, and its gradient by the input. */
function checkNormalisation(precision: Precision, isChannelsLast: boolean): string[] {
  const shape = [4, 24, 5, 7] as const;
  const [count, channels, inner] = [4 * 35, 24, 35];
  const plain = filled(shape, 8);
  const slopes = filled(shape, 9);
  const layout = isChannelsLast ? 'channelsLast' : 'contiguous';
  const input = plain.to(precision).contiguous({ memoryFormat: layout });
  input.requiresGrad = true;
  const weight = ops.ones([channels]);
  const bias = ops.zeros([channels]);
  const output = ops.batchNormAlone(input, weight, bias, null, null, true, 0.1, 1e-5);
  const gradients = slopes.to(precision).contiguous({ memoryFormat: layout });
  const [ofInput] = grad(output, [input], { gradients: [gradients] });
  const [x, g] = [wide(plain), wide(slopes)];
  const [right, rightGradient] = [new Float64Array(x.length), new Float64Array(x.length)];
  for (let c = 0; c < channels; c += 1) {
    const at = (index: number): number =>
      (Math.floor(index / inner) * channels + c) * inner + (index % inner);
    const all = Array.from({ length: count }, (_, index) => at(index));
    const meanOf = (value: (index: number) => number): number =>
      all.reduce((sum, index) => sum + value(index), 0) / count;
    const mean = meanOf((index) => x[index] ?? NaN);
    const scale = 1 / Math.sqrt(meanOf((index) => ((x[index] ?? NaN) - mean) ** 2) + 1e-5);
    for (const index of all) right[index] = ((x[index] ?? NaN) - mean) * scale;
    const meanSlope = meanOf((index) => g[index] ?? NaN);
    const meanProduct = meanOf((index) => (g[index] ?? NaN) * (right[index] ?? NaN));
    for (const index of all) {
      rightGradient[index] = scale * ((g[index] ?? NaN) - meanSlope - (right[index] ?? NaN) * meanProduct);
    }
  }
  const what = `batch normalisation (${isChannelsLast ? 'channels-last' : 'contiguous'})`;
  return [
    ...faultOf(what, precision, errorOf(output, right)),
    ...(ofInput === undefined
      ? [`${what} has no gradient`]
      : faultOf(`the gradient of ${what}`, precision, errorOf(ofInput, rightGradient))),
  ];
}

/** Computes a convolution and its gradients once, which has the native side compare them. */
function useConvolutions(precision: Precision): void {
  for (const [inputs, outputs, kernel, side, stride, groups] of usualShapes) {
    for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
      scope(() => {
        const input = filled([2, inputs, side, side], 1).to(precision).contiguous({ memoryFormat });
        const weight = filled([outputs, inputs / groups, kernel, kernel], 2).contiguous({ memoryFormat });
        input.requiresGrad = true;
        weight.requiresGrad = true;
        const padding = kernel >> 1;
        const output = ops.convolution2d(input, weight, null, stride, padding, 1, groups);
        grad(output, [input, weight], { gradients: [ops.onesLike(output)] });
      });
    }
  }
}

/** Passes from this number on are ATen's own convolutions (ConvolutionPass in native/kernels/convolution/routes.h). */
const firstAtenPass = 5;

const precisions = ['float32', 'bfloat16'] as const;
let faults: readonly string[] = [];

interface Verdict {
  readonly isAten: boolean;
  readonly route: string;
  readonly error: number;
  readonly what: string;
}

/** All verdicts on convolutions so far. */
function verdicts(): Verdict[] {
  const lines = checked('verdicts', native.verdicts()).split('\n').filter(Boolean);
  return lines.map((line) => {
    const [key = '', route = '', error = '', what = ''] = line.split('\t');
    return { isAten: Number.parseInt(key, 10) >= firstAtenPass, route, error: Number(error), what };
  });
}

/** A sentence for each convolution that is wrong in every way; for ATen's own there is our operator. */
function hopelessOf(all: readonly Verdict[]): string[] {
  return all
    .filter(({ isAten, route }) => route === 'none' && !isAten)
    .map(
      ({ what, error }) => `a convolution (${what}) is off by ${percent(error)}, and so is every way around`,
    );
}

/** Looks at everything once more, whatever is stored. */
function examine(): StoredVerdicts {
  const found: string[] = [];
  const attempt = (check: () => readonly string[]): void => {
    try {
      found.push(...scope(check));
    } catch (error) {
      // The verdict is there all the same; what cannot be computed at all is said by the operator itself, when it is used.
      if (!(error instanceof TorchError)) throw error;
    }
  };
  for (const precision of precisions) {
    attempt(() => checkProducts(precision));
    for (const isChannelsLast of [false, true]) attempt(() => checkNormalisation(precision, isChannelsLast));
    attempt(() => {
      useConvolutions(precision);
      return [];
    });
  }
  found.push(...hopelessOf(verdicts()));
  return { convolutions: checked('verdicts', native.verdicts()), faults: found };
}

function begin(): void {
  const isTest = process.env.COHORT_FAULT !== undefined;
  const path = verdictPath(checked('engineInfo', native.engineInfo()).config);
  const stored = isTest ? null : readVerdicts(path);
  if (stored !== null) {
    checked('trustVerdicts', native.trustVerdicts(stored.convolutions));
    faults = stored.faults;
  } else {
    const found = examine();
    faults = found.faults;
    if (!isTest) writeVerdicts(path, found);
  }
  if (isTest) return;
  const known = checked('verdicts', native.verdicts()).length;
  // Shapes that this process was the first to use.
  process.once('exit', () => {
    const convolutions = native.verdicts() ?? '';
    if (convolutions.length > known) writeVerdicts(path, { convolutions, faults });
  });
}

whenOpened(begin);

/** What is known of this machine's arithmetic now; opens the engine. */
export function arithmeticReport(): ArithmeticReport {
  openEngine();
  const all = verdicts();
  const detours = all.filter(({ isAten, route }) => route !== (isAten ? 'library' : 'usual'));
  return {
    convolutions: all.length,
    detours: detours
      .filter(({ isAten, route }) => isAten || route !== 'none')
      .map(({ isAten, what, error, route }) => ({ what, error, route: isAten ? 'own operator' : route })),
    faults: [...new Set([...faults, ...hopelessOf(all)])],
  };
}

/**
 * Refuses to go on where something that every training needs is computed wrongly and has no way around.
 *
 * @throws {ArithmeticFaultError} naming what is wrong.
 */
export function assertArithmetic(): void {
  openEngine();
  if (faults.length === 0) return;
  throw new ArithmeticFaultError(
    'checking the arithmetic',
    `this LibTorch computes wrongly on this processor: ${faults.join('; ')}. Use another LibTorch (docs/engine.md says which were tested).`,
  );
}
