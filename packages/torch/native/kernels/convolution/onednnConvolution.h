// A convolution with what follows it in the same pass, by calling oneDNN directly where that is possible.
#pragma once

#include <ATen/ATen.h>

#include "kernels/convolution/convolution.h"

namespace cohort {

/// relu(convolution(input, weight) + bias + residual), where residual and ReLU may be left out; outside of autograd.
/// Undefined where oneDNN's headers were not there at build time, or it has no fast form of this convolution.
at::Tensor onednnConvolution(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                             const c10::optional<at::Tensor>& residual, bool rectifies,
                             const ConvolutionSettings& settings);

}  // namespace cohort
