// What the loops of 1x1 convolutions take and give. Compiled for processors with AVX-512; like the other kernels' headers it
// includes nothing whose inline functions the linker could mix up between processors.
#pragma once

#include <stdint.h>

namespace cohort {

/// A 1x1 convolution with stride 1 of maps in rows (channels-last): `[pixels, inChannels]` to `[pixels, outChannels]`, where
/// the pixels are those of all images.
struct PointwiseShape {
  int64_t pixels;
  int64_t inChannels;
  int64_t outChannels;
  /// Maps in bfloat16, not in float32. Weights and sums are float32.
  bool isNarrow;
  /// How many threads may share the work; results do not depend on it.
  int threads;
};

struct PointwiseKernels {
  const char* capability;

  /// Whether the loops know such a shape and are worth their while, whatever the number of pixels: what a network says of an
  /// image must not depend on its batch.
  bool (*supports)(const PointwiseShape&);
  bool (*supportsInputGradient)(const PointwiseShape&);
  bool (*supportsWeightGradient)(const PointwiseShape&);

  /// How much memory each works in; it is aligned to 64 bytes.
  int64_t (*scratchBytes)(const PointwiseShape&);
  int64_t (*weightGradientScratchBytes)(const PointwiseShape&);

  /// `weight` lies as [outChannels][inChannels].
  void (*convolution)(const PointwiseShape&, const void* input, const float* weight, void* scratch, void* output);

  /// The gradient by the input, from that of the output.
  void (*inputGradient)(const PointwiseShape&, const void* gradient, const float* weight, void* scratch, void* result);

  /// result[o][i] = sum over pixels of gradient[o] times input[i].
  void (*weightGradient)(const PointwiseShape&, const void* gradient, const void* input, void* scratch, float* result);
};

/// The loops for this processor; null where there are none, or COHORT_KERNELS or COHORT_CONVOLUTION asks for less.
const PointwiseKernels* pointwiseKernels();

}  // namespace cohort
