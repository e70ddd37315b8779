// What the loops of Winograd's convolution take and give. Compiled for processors with AVX2 or AVX-512; like the other
// kernels' headers it includes nothing whose inline functions the linker could mix up between processors.
#pragma once

#include <stdint.h>

namespace cohort {

/// A convolution of 3x3 taps with stride 1 and padding 1, of maps in rows (channels-last):
/// `[batch, inChannels, height, width]` to `[batch, outChannels, height, width]`.
struct WinogradShape {
  int64_t batch;
  int64_t inChannels;
  int64_t outChannels;
  int64_t height;
  int64_t width;
  /// Maps in bfloat16, not in float32.
  bool isNarrow;
  /// How many threads may share the work; results do not depend on it.
  int threads;
  /// How many of these images a picture was taken apart into: the square of the dilation.
  int64_t phases;
};

/// What is done to a result while it is in registers; null pointers where nothing is.
struct WinogradFinish {
  /// `[outChannels]`, added.
  const float* bias;
  /// A map like the result, added.
  const void* residual;
  /// Whether negative results become zero; NaN stays.
  bool rectifies;
};

/// What is done to the input while it is read, for each of its channels: max((x - mean) slope + bias, 0), a normalisation with
/// ReLU. Null pointers where nothing is. The pixels around a map stay zero.
struct WinogradNorm {
  const float* mean;
  const float* slope;
  const float* bias;
};

struct WinogradKernels {
  const char* capability;

  /// Whether the loops know such a shape and are worth their while.
  bool (*supports)(const WinogradShape&);

  /// Whether more pictures at once would read the weights less often; what is computed for each does not depend on the others.
  bool (*leavesRoom)(const WinogradShape&);

  /// How much memory they work in; it is aligned to 64 bytes.
  int64_t (*scratchBytes)(const WinogradShape&);

  /// How much memory transformed weights take; it is aligned to 64 bytes.
  int64_t (*weightBytes)(const WinogradShape&);

  /// Transforms weights once for many convolutions. `weight` lies as [outChannels][3][3][inChannels].
  void (*transformWeights)(const WinogradShape&, const float* weight, void* transformed);

  /// `isTurned` convolves with [inChannels][3][3][outChannels] turned by half a circle instead, which is the gradient by the
  /// input of a convolution with that weight. Where there are `transformed` weights, `weight` is not looked at.
  void (*convolution)(const WinogradShape&, const void* input, const WinogradNorm&, const float* weight, bool isTurned,
                      const void* transformed, const WinogradFinish&, void* scratch, void* output);

  /// result[o][y][x][i] = sum over batch and positions of gradient[o] times the input[i] that tap (y, x) saw.
  void (*weightGradient)(const WinogradShape&, const void* gradient, const void* input, const WinogradNorm&, void* scratch,
                         float* result);
};

/// The loops for this processor; null where there are none, or COHORT_KERNELS or COHORT_CONVOLUTION asks for less.
const WinogradKernels* winogradKernels();

}  // namespace cohort
