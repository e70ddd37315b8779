/** Every operator that is supported, and how it is lowered. */
import type { Lower } from '../lowering.ts';
import { lowerActivation, lowerBatchNormalization, lowerBinary } from './elementwise.ts';
import { lowerInstanceNormalization, lowerReshapeOrGroupNorm } from './groupNorm.ts';
import { lowerHardSigmoid, lowerHardSwish } from './hard.ts';
import { lowerAnyConvolution } from './integer.ts';
import { lowerLinear } from './linear.ts';
import { lowerConcat, lowerReshape, lowerSlice, lowerSplit, lowerTranspose } from './moves.ts';
import { lowerPlain } from './plain.ts';
import { lowerGlobalAverage, lowerPool, lowerReduceMean } from './pooling.ts';
import { lowerResize, lowerShape } from './resize.ts';
import { lowerCast, lowerConstant, lowerDequantize, lowerQuantize } from './quantisation.ts';

export const operators: Readonly<Record<string, Lower>> = {
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
  HardSigmoid: lowerHardSigmoid,
  HardSwish: lowerHardSwish,
  Identity: lowerReshape,
  InstanceNormalization: lowerInstanceNormalization,
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
  Reshape: lowerReshapeOrGroupNorm,
  Resize: lowerResize,
  Shape: lowerShape,
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
