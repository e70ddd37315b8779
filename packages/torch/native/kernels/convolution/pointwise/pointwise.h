// 1x1 convolutions by our own loops, on tensors.
#pragma once

#include <ATen/ATen.h>

#include "kernels/convolution/convolution.h"
#include "kernels/optionalTensor.h"

namespace cohort {

/// All return an undefined tensor where shape, dtype, memory format or processor are not those of the loops: one tap, stride 1,
/// one group, maps in channels-last and float32 or bfloat16, and numbers of channels with which the loops are faster than
/// oneDNN. The weight may be float32 with maps in bfloat16. Nothing is recorded.
at::Tensor pointwiseConvolution(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                                const ConvolutionSettings& settings);
at::Tensor pointwiseInputGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings);
at::Tensor pointwiseWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                   const ConvolutionSettings& settings);

}  // namespace cohort
