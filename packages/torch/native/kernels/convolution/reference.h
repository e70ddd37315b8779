// Convolutions by their definition, one number at a time in float64: what faster ways are compared with.
#pragma once

#include <stdint.h>

namespace cohort {

/// Maps are `[batch][channels][height][width]` and weights `[outChannels][inChannels / groups][kernel][kernel]` in float64;
/// pairs are rows first, then columns.
struct PlainConvolution {
  int64_t batch, inChannels, outChannels, groups;
  int64_t size[2], outSize[2], kernel[2], stride[2], padding[2], dilation[2];

  /// How many numbers an output, an input gradient or a weight gradient has.
  int64_t outputs() const { return batch * outChannels * outSize[0] * outSize[1]; }
  int64_t inputs() const { return batch * inChannels * size[0] * size[1]; }
  int64_t weights() const { return outChannels * (inChannels / groups) * kernel[0] * kernel[1]; }

  double output(const double* input, const double* weight, int64_t index) const;
  double inputGradient(const double* gradient, const double* weight, int64_t index) const;
  double weightGradient(const double* gradient, const double* input, int64_t index) const;
};

}  // namespace cohort
