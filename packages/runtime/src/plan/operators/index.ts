/** The operators of classifiers, and how they are lowered; `dense.ts` has the others, which are loaded where a graph has them. */
import type { Graph } from '../../onnx/model.ts';
import type { Lower } from '../lowering.ts';
import { lowerActivation, lowerBatchNormalization, lowerBinary } from './elementwise.ts';
import { lowerAnyConvolution } from './integer.ts';
import { lowerLinear } from './linear.ts';
import { lowerConcat, lowerReshape, lowerSlice, lowerSplit, lowerTranspose } from './moves.ts';
import { lowerPlain } from './plain.ts';
import { lowerGlobalAverage, lowerPool, lowerReduceMean } from './pooling.ts';
import { lowerCast, lowerConstant, lowerDequantize, lowerQuantize } from './quantisation.ts';

/** How operators are lowered, by their name. */
export type Operators = ReadonlyMap<string, Lower>;

const operators: Readonly<Record<string, Lower>> = {
  Abs: lowerPlain,
  Add: lowerBinary,
  AveragePool: lowerPool,
  BatchNormalization: lowerBatchNormalization,
  Cast: lowerCast,
  Clip: lowerActivation,
  Concat: lowerConcat,
  Constant: lowerConstant,
  Conv: lowerAnyConvolution,
  DequantizeLinear: lowerDequantize,
  Div: lowerBinary,
  Dropout: lowerReshape,
  Exp: lowerPlain,
  Flatten: lowerReshape,
  Gemm: lowerLinear,
  GlobalAveragePool: lowerGlobalAverage,
  Identity: lowerReshape,
  Log: lowerPlain,
  LogSoftmax: lowerPlain,
  MatMul: lowerLinear,
  Max: lowerPlain,
  MaxPool: lowerPool,
  Min: lowerPlain,
  Mul: lowerBinary,
  Neg: lowerPlain,
  Pow: lowerPlain,
  QuantizeLinear: lowerQuantize,
  Reciprocal: lowerPlain,
  ReduceMean: lowerReduceMean,
  ReduceSum: lowerPlain,
  Relu: lowerActivation,
  Reshape: lowerReshape,
  Sigmoid: lowerPlain,
  Slice: lowerSlice,
  Softmax: lowerPlain,
  Split: lowerSplit,
  Sqrt: lowerPlain,
  Squeeze: lowerReshape,
  Sub: lowerBinary,
  Tanh: lowerPlain,
  Transpose: lowerTranspose,
  Unsqueeze: lowerReshape,
};

/** Operators of `dense.ts`. */
const others = new Set(['HardSigmoid', 'HardSwish', 'InstanceNormalization', 'Resize', 'Shape']);

/** All operators that a graph may need. */
export async function operatorsFor({ nodes }: Graph): Promise<Operators> {
  const known = new Map(Object.entries(operators));
  if (nodes.some(({ operator }) => operator === 'ConvTranspose')) {
    const { lowerTransposedConvolution } = await import('./transposed.ts');
    known.set('ConvTranspose', lowerTransposedConvolution);
  }
  if (!nodes.some(({ operator }) => others.has(operator))) return known;
  const { denseOperators } = await import('./dense.ts');
  return new Map([...known, ...Object.entries(denseOperators)]);
}
