// What the loops of a convolution's weight gradient take and give. Compiled for processors with AVX-512 BF16 only; like the
// other kernels' headers it includes nothing whose inline functions the linker could mix up between processors.
#pragma once

#include <stdint.h>

namespace cohort {

/// A square convolution of bfloat16 maps in rows (channels-last): `[batch, inChannels, inHeight, inWidth]` to
/// `[batch, outChannels, outHeight, outWidth]`, without dilation or groups.
struct ConvolutionShape {
  int64_t batch;
  int64_t inChannels;
  int64_t outChannels;
  int64_t inHeight;
  int64_t inWidth;
  int64_t outHeight;
  int64_t outWidth;
  int64_t kernelSize;
  int64_t stride;
  int64_t padding;
  /// How many threads may share the work; results do not depend on it.
  int threads;
};

struct ConvolutionKernels {
  const char* capability;

  /// Whether `weightGradient` knows such a shape.
  bool (*supports)(const ConvolutionShape&);

  /// How much memory `weightGradient` works in.
  int64_t (*scratchBytes)(const ConvolutionShape&);

  /// result[y][x][i][o] = sum over batch and positions of gradient[o] times the input[i] that tap (y, x) saw, in float32.
  /// `scratch` is aligned to 64 bytes.
  void (*weightGradient)(const ConvolutionShape&, const void* gradient, const void* input, void* scratch, float* result);
};

/// The loops for this processor; null where it has no bfloat16 products, or COHORT_KERNELS asks for less.
const ConvolutionKernels* convolutionKernels();

}  // namespace cohort
