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
  /// From one pixel to the next: a map may be some of the channels of a wider one.
  int64_t inStride;
  int64_t outStride;
  /// Maps in bfloat16, not in float32. Weights and sums are float32.
  bool isNarrow;
  /// How many threads may share the work; results do not depend on it.
  int threads;
};

/// What is added to a product: to every pixel `shift`, [channels], and `map` times `slope`, [channels], of its own. Each may be
/// null, the last two together.
struct PointwiseAddends {
  const float* shift;
  const void* map;
  const float* slope;
};

/// A normalisation of the input, (input - mean) slope + bias, all [inChannels].
struct PointwiseNorm {
  const float* mean;
  const float* slope;
  const float* bias;
};

/// Where statistics go: mean and squared differences from it, as for BatchNormKernels::statistics, with as much scratch.
struct PointwiseStatistics {
  double* scratch;
  double* mean;
  double* squares;
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

  /// `weight` lies as [outChannels][inChannels]; `shift` may be null, and `statistics`, which are of the output.
  void (*convolution)(const PointwiseShape&, const void* input, const float* weight, const float* shift, void* scratch,
                      void* output, const PointwiseStatistics* statistics);

  /// The gradient by the input, from that of the output.
  void (*inputGradient)(const PointwiseShape&, const void* gradient, const float* weight, const PointwiseAddends&,
                        void* scratch, void* result);

  /// result[o][i] = sum over pixels of gradient[o] times input[i]; `sums`, the sums of gradient[o], may be null.
  void (*weightGradient)(const PointwiseShape&, const void* gradient, const void* input, void* scratch, float* result,
                         float* sums);

  /// The weights and the shift with which the convolution of an input is that of the normalised input.
  void (*fold)(const PointwiseShape&, const float* weight, const PointwiseNorm&, float* folded, float* shift);

  /// Turns what `weightGradient` says of an input into the weight gradient of the normalised one, and sums over the pixels the
  /// gradient by the normalised input, and that gradient times (input - mean), [inChannels] each.
  void (*unfold)(const PointwiseShape&, const float* weight, const PointwiseNorm&, const float* sums, float* gradient,
                 double* sum, double* product);
};

/// The loops for this processor; null where there are none, or COHORT_KERNELS or COHORT_CONVOLUTION asks for less.
const PointwiseKernels* pointwiseKernels();

}  // namespace cohort
