// Depthwise convolutions by our own loops, on tensors.
#pragma once

#include <ATen/ATen.h>

#include "kernels/convolution/convolution.h"
#include "kernels/optionalTensor.h"

namespace cohort {

/// All return an undefined tensor where shape, dtype, memory format or processor are not those of the loops: 3x3 taps,
/// padding 1, stride 1 or 2, as many groups as channels, maps in channels-last and float32 or bfloat16. The weight may be
/// float32 with maps in bfloat16, and is not rounded then. Nothing is recorded.
at::Tensor depthwiseConvolution(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias, bool rectifies,
                                const ConvolutionSettings& settings);
at::Tensor depthwiseInputGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings);
at::Tensor depthwiseWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                   const ConvolutionSettings& settings);

/// Whether they know half of the channels of such an input, with stride 1, in all directions.
bool supportsDepthwise(const at::Tensor& input, const at::Tensor& weight);

}  // namespace cohort
