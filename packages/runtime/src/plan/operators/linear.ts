/** Gemm and MatMul with constant weights: convolutions of one pixel. */
import type { GraphNode } from '../../onnx/model.ts';
import { transpose } from '../arrays.ts';
import { integer } from '../attributes.ts';
import type { Lowering } from '../lowering.ts';
import { constantOf, floatsOf, type QuantisedConstant } from '../value.ts';
import { convolve } from './convolution.ts';
import { linearShape } from './convolutionShape.ts';
import { convolveIntegers, symmetric } from './integer.ts';
import { lowerPlain } from './plain.ts';

export function lowerLinear(node: GraphNode, lowering: Lowering): void {
  const input = lowering.value(node.inputs[0]);
  const weights = lowering.value(node.inputs[1]);
  const bias = lowering.optional(node.inputs[2]);
  const turned = integer(node, 'transB', 0) !== 0;
  const factors = ['alpha', 'beta'].map((name) => node.attributes.get(name) ?? 1);
  const constant = constantOf(weights);
  const [inputs = 0, outputs = 0] = turned ? [...weights.shape].reverse() : weights.shape;
  const isVector = input.shape.length === 2 && input.shape[0] === 1 && input.shape[1] === inputs;
  const isPlainProduct = factors.every((factor) => factor === 1) && integer(node, 'transA', 0) === 0;
  const biasLength = bias ? floatsOf(bias)?.length : 0;
  const fits = weights.shape.length === 2 && isVector && isPlainProduct;
  if (
    constant === null ||
    constantOf(input) !== null ||
    !fits ||
    (biasLength !== 0 && biasLength !== outputs)
  ) {
    lowerPlain(node, lowering);
    return;
  }
  const shape = linearShape(inputs, outputs);
  const key = node.inputs.slice(1).join('|');
  const outputShape = [1, outputs];
  const output = node.outputs[0];
  const inReals = (): void => {
    const rows = turned ? constant : transpose(constant, [1, 0]);
    const values = Float32Array.from(rows.data);
    convolve(lowering, {
      input,
      weights: values,
      bias: bias && floatsOf(bias),
      shape,
      key,
      output,
      outputShape,
    });
  };
  const quantised = symmetric(weights, turned ? 0 : 1);
  if (lowering.layouts.quantisation(input) === null || quantised === null) {
    inReals();
    return;
  }
  const rows: QuantisedConstant = turned
    ? quantised
    : { ...quantised, integers: transpose(quantised.integers, [1, 0]) };
  convolveIntegers(lowering, { input, weights: rows, bias, shape, key, output, outputShape }, inReals);
}
