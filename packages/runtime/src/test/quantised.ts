/** Writes quantised layers for tests: uint8 activations per tensor and int8 weights per channel, as `cohort export` does. */
import { randomValues, type OnnxWriter } from './onnxWriter.ts';

/** QuantizeLinear and DequantizeLinear with values between `low` and `high`. */
export function quantise(writer: OnnxWriter, input: string, low: number, high: number): string {
  const scale = (high - low) / 255;
  const parameters = [
    writer.constant(Float32Array.of(scale), []),
    writer.constant(Uint8Array.of(Math.round(-low / scale)), []),
  ];
  return writer.node('DequantizeLinear', [
    writer.node('QuantizeLinear', [input, ...parameters]),
    ...parameters,
  ]);
}

export interface QuantisedLayer {
  readonly weights: readonly number[];
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
  /** Scale of the input, which the bias's scale is made of. */
  readonly inputScale: number;
  readonly seed: number;
  readonly operator?: 'Conv' | 'Gemm';
}

/** A Conv or Gemm whose weights and bias come from DequantizeLinear. */
export function quantisedLayer(writer: OnnxWriter, input: string, layer: QuantisedLayer): string {
  const { weights, attributes = {}, inputScale, seed, operator = 'Conv' } = layer;
  const [outputs = 1] = weights;
  const count = weights.reduce((product, size) => product * size, 1);
  const fan = count / outputs;
  const integers = Int8Array.from(randomValues(count, seed), (value) => Math.round(value * 127));
  const scales = Float32Array.from(
    randomValues(outputs, seed + 1),
    (value) => (1.5 + value) / 127 / Math.sqrt(fan),
  );
  const scaleName = writer.constant(scales);
  const kernel = writer.node(
    'DequantizeLinear',
    [writer.constant(integers, weights), scaleName, writer.constant(new Int8Array(outputs))],
    { axis: 0 },
  );
  const biasScales = scales.map((scale) => scale * inputScale);
  const biases = Int32Array.from(randomValues(outputs, seed + 2), (value) => Math.round(value * 2000));
  const bias = writer.node('DequantizeLinear', [writer.constant(biases), writer.constant(biasScales)], {
    axis: 0,
  });
  return writer.node(operator, [input, kernel, bias], attributes);
}
