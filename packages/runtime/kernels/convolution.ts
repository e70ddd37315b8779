/** Dense convolutions, computed directly. Addresses are those of the first value inside the border. */
import { floatRow, integerRow } from './tiles';

/** Float32: `[C, H, W] -> [O, height, width]`, plus bias and residual, clamped. */
export function convolveFloat(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, kernelHeight: i32, kernelWidth: i32, stride: i32, dilation: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, low: f32, high: f32,
): void {
  const weightStep = <usize>(128 * kernelHeight * kernelWidth * inputBlocks);
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  for (let block = 0; block < outputBlocks; block += 2) {
    const both = block + 1 < outputBlocks;
    for (let y = 0; y < height; y++) {
      floatRow(
        width, input + y * stride * inputRow, inputPlane, dilation * inputRow, dilation * 16, stride * 16,
        weights, inputBlocks, kernelHeight, kernelWidth, output + y * outputRow, outputPlane,
        bias, residual ? residual + y * residualRow : 0, residualPlane, lows, highs, both,
      );
    }
    output += 2 * outputPlane;
    if (residual) residual += 2 * residualPlane;
    bias += 32;
    weights += weightStep;
  }
}

/**
 * Int16 activations and weights with int32 sums. With `finish` the output is int16 at its own scale, else the int32 sums
 * in two blocks of four channels. `bias` advances by 64 bytes for eight output channels.
 */
export function convolveInteger(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, kernelHeight: i32, kernelWidth: i32, stride: i32, dilation: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, finish: usize,
): void {
  const weightStep = <usize>(128 * kernelHeight * kernelWidth * inputBlocks);
  for (let block = 0; block < outputBlocks; block++) {
    for (let y = 0; y < height; y++) {
      integerRow(
        width, input + y * stride * inputRow, inputPlane, dilation * inputRow, dilation * 16, stride * 16,
        weights, inputBlocks, kernelHeight, kernelWidth, output + y * outputRow, outputPlane,
        bias, finish, residual ? residual + y * residualRow : 0,
      );
    }
    output += finish ? outputPlane : 2 * outputPlane;
    if (residual) residual += residualPlane;
    bias += 64;
    weights += weightStep;
  }
}
