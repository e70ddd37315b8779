/** Dense convolutions, computed directly. Addresses are those of the first value inside the border. */
import { floatColourRow, floatRow, integerColourRow, integerRow } from './tiles';

/** Float32: `[C, H, W] -> [O, height, width]`, plus bias and residual, clamped. With `colour`, C is at most 3. */
export function convolveFloat(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, kernelHeight: i32, kernelWidth: i32, stride: i32, dilation: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, low: f32, high: f32, colour: bool,
): void {
  const weightStep = <usize>(128 * kernelHeight * kernelWidth * inputBlocks);
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  for (let block = 0; block < outputBlocks; block += 2) {
    const both = block + 1 < outputBlocks;
    for (let y = 0; y < height; y++) {
      const from = input + y * stride * inputRow, to = output + y * outputRow;
      const other = residual ? residual + y * residualRow : 0;
      if (colour) {
        floatColourRow(
          width, from, inputPlane, dilation * inputRow, dilation * 16, stride * 16, weights, 1, kernelHeight, kernelWidth,
          to, outputPlane, bias, other, residualPlane, lows, highs, both,
        );
      } else {
        floatRow(
          width, from, inputPlane, dilation * inputRow, dilation * 16, stride * 16, weights, inputBlocks, kernelHeight, kernelWidth,
          to, outputPlane, bias, other, residualPlane, lows, highs, both,
        );
      }
    }
    output += 2 * outputPlane;
    if (residual) residual += 2 * residualPlane;
    bias += 32;
    weights += weightStep;
  }
}

/**
 * Int16 activations and weights with int32 sums. With `finish` the output is int16 at its own scale, else the int32 sums
 * in two blocks of four channels. `bias` advances by 64 bytes for eight output channels. With `colour`, C is at most 4.
 */
export function convolveInteger(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, kernelHeight: i32, kernelWidth: i32, stride: i32, dilation: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, finish: usize, colour: bool,
): void {
  const weightStep = <usize>(128 * kernelHeight * kernelWidth * inputBlocks);
  for (let block = 0; block < outputBlocks; block++) {
    for (let y = 0; y < height; y++) {
      const from = input + y * stride * inputRow, to = output + y * outputRow;
      const other = residual ? residual + y * residualRow : 0;
      if (colour) {
        integerColourRow(
          width, from, inputPlane, dilation * inputRow, dilation * 16, stride * 16, weights, 1, kernelHeight, kernelWidth,
          to, outputPlane, bias, finish, other,
        );
      } else {
        integerRow(
          width, from, inputPlane, dilation * inputRow, dilation * 16, stride * 16, weights, inputBlocks, kernelHeight, kernelWidth,
          to, outputPlane, bias, finish, other,
        );
      }
    }
    output += finish ? outputPlane : 2 * outputPlane;
    if (residual) residual += residualPlane;
    bias += 64;
    weights += weightStep;
  }
}
