// Winograd's convolution and its gradients where they apply; the operators that contain a convolution fall back otherwise.
#pragma once

#include <ATen/ATen.h>

#include "kernels/convolution/convolution.h"

namespace cohort {

/// What is added to a convolution's result, and whether ReLU follows.
struct ConvolutionFinish {
  c10::optional<at::Tensor> bias;
  c10::optional<at::Tensor> residual;
  bool rectifies = false;
};

/// A normalisation with ReLU of a convolution's input, by vectors of channels in float32: max((x - mean) slope + bias, 0).
struct ConvolutionNorm {
  at::Tensor mean;
  at::Tensor slope;
  at::Tensor bias;
};

/// All of them return an undefined tensor where shape, dtype, memory format or processor are not those of the loops: 3x3 taps,
/// stride and padding 1, no groups, channels in sixteens, maps in channels-last and float32 or bfloat16. The weight may
/// be float32 with maps in bfloat16, and is transformed before it is rounded. Nothing is recorded.
at::Tensor winogradConvolution(const at::Tensor& input, const at::Tensor& weight, const ConvolutionFinish& finish,
                               const ConvolutionSettings& settings);
at::Tensor winogradInputGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                 const ConvolutionSettings& settings);
at::Tensor winogradWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings);

/// The convolution of the normalised input, which is never written, and its gradient by the weight.
at::Tensor winogradNormConvolution(const at::Tensor& input, const ConvolutionNorm& norm, const at::Tensor& weight,
                                   const ConvolutionSettings& settings);
at::Tensor winogradNormWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const ConvolutionNorm& norm,
                                      const at::Tensor& weight, const ConvolutionSettings& settings);

}  // namespace cohort
