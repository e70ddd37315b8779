// What the loops of batch normalisation with ReLU take and give where its output is shuffled with other channels: output and
// gradient are maps of twice as many channels, of which every second one is meant. Compiled for processors with AVX-512; like
// the other kernels' headers it includes nothing whose inline functions the linker could mix up between processors.
#pragma once

#include "kernels/batchNorm/batchNormKernels.h"

namespace cohort {

/// Numbers of every channel, float32.
struct ShuffledNorm {
  const float* mean;
  const float* slope;
  const float* bias;
};

struct ShuffledNormKernels {
  const char* capability;

  /// Fewer channels than this are left to others.
  int64_t fewestChannels;

  /// both = left_0, relu((input_0 - mean) slope + bias), left_1, ... Rows of `left` lie in a map of twice as many channels, as
  /// its first half. The maps are those of the input: float32 or bfloat16, in rows.
  void (*forward)(const BatchNormMaps&, const void* left, const void* input, const ShuffledNorm&, void* both);

  /// With the right gradients masked by ReLU: of every channel their sum, and their sum times (input - mean). Writes the left
  /// ones into the first half of `left`, which has as many channels as `both`. Scratch is as for BatchNormKernels::sums.
  void (*sums)(const BatchNormMaps&, const void* both, const void* input, const ShuffledNorm&, void* left, double* scratch,
               double* sum, double* product);

  /// result = masked factor + (input - mean) incline + offset.
  void (*inputGradient)(const BatchNormMaps&, const void* both, const void* input, const ShuffledNorm&, const float* factor,
                        const float* incline, const float* offset, void* result);
};

/// The loops for this processor; null where there are none, or COHORT_KERNELS asks for less.
const ShuffledNormKernels* shuffledNormKernels();

}  // namespace cohort
