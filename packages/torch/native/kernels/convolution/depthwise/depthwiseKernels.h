// What the loops of depthwise 3x3 convolutions take and give. Compiled for processors with AVX2, AVX-512 or NEON; like the
// other kernels' headers it includes nothing whose inline functions the linker could mix up between processors.
#pragma once

#include <stdint.h>

namespace cohort {

/// A 3x3 convolution of each channel on its own, with padding 1 and stride 1 or 2, of maps in rows (channels-last):
/// `[batch, channels, height, width]` to `[batch, channels, outHeight, outWidth]`.
struct DepthwiseShape {
  int64_t batch;
  int64_t channels;
  int64_t height;
  int64_t width;
  int64_t outHeight;
  int64_t outWidth;
  int64_t stride;
  /// Maps in bfloat16, not in float32. Weights and sums are float32.
  bool isNarrow;
  /// How many threads may share the work; results do not depend on it.
  int threads;
};

struct DepthwiseKernels {
  const char* capability;

  /// Whether the loops know such a shape.
  bool (*supports)(const DepthwiseShape&);

  /// How much memory `weightGradient` works in; it is aligned to 64 bytes.
  int64_t (*scratchBytes)(const DepthwiseShape&);

  /// `weight` lies as [3][3][channels]. `bias`, [channels], is added unless it is null; negative results become zero where
  /// `rectifies`, and NaN stays.
  void (*convolution)(const DepthwiseShape&, const void* input, const float* weight, const float* bias, bool rectifies,
                      void* output);

  /// The gradient by the input, from that of the output.
  void (*inputGradient)(const DepthwiseShape&, const void* gradient, const float* weight, void* result);

  /// result[y][x][c] = sum over batch and positions of gradient[c] times the input[c] that tap (y, x) saw.
  void (*weightGradient)(const DepthwiseShape&, const void* gradient, const void* input, void* scratch, float* result);
};

/// The loops for this processor; null where there are none, or COHORT_KERNELS or COHORT_CONVOLUTION asks for less.
const DepthwiseKernels* depthwiseKernels();

}  // namespace cohort
