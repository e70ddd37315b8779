// 1x1 convolutions by our own loops, on tensors.
#pragma once

#include <ATen/ATen.h>

#include "kernels/batchNorm/batchNorm.h"
#include "kernels/convolution/convolution.h"
#include "kernels/optionalTensor.h"

namespace cohort {

/// Of a 1x1 convolution that keeps the size.
inline const ConvolutionSettings kPointwise{{1, 1}, {0, 0}, {1, 1}, 1};

/// All return an undefined tensor where shape, dtype, memory format or processor are not those of the loops: one tap, stride 1,
/// one group, maps in channels-last and float32 or bfloat16, and numbers of channels with which the loops are faster than
/// oneDNN. The weight may be float32 with maps in bfloat16. Nothing is recorded.
at::Tensor pointwiseConvolution(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                                const ConvolutionSettings& settings);
at::Tensor pointwiseInputGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings);
at::Tensor pointwiseWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                   const ConvolutionSettings& settings);

/// An input [B, I, H, W] that is normalised by (input - mean) slope + bias before a 1x1 convolution; vectors are float32, [I].
struct PointwiseNormMaps {
  const at::Tensor& input;
  const at::Tensor& kernel;
  const at::Tensor& mean;
  const at::Tensor& slope;
  const at::Tensor& bias;
};

/// Whether the functions below know such tensors, in whatever direction.
bool supportsPointwiseNorm(const at::Tensor& input, const at::Tensor& kernel);

/// The convolution of the normalised input, and the moments of its output unless they are null.
at::Tensor pointwiseNormConvolution(const PointwiseNormMaps& maps, BatchMoments* moments);

/// Its weight gradient, and sums over all pixels of the gradient by the normalised input, and of that times (input - mean).
struct PointwiseNormSums {
  at::Tensor weightGradient;
  std::vector<double> sum;
  std::vector<double> product;
};
PointwiseNormSums pointwiseNormSums(const at::Tensor& gradient, const PointwiseNormMaps& maps);

/// The gradient by the normalised input, times the slope, and (input - mean) incline + offset.
at::Tensor pointwiseNormInputGradient(const at::Tensor& gradient, const PointwiseNormMaps& maps,
                                      const std::vector<double>& incline, const std::vector<double>& offset);

/// Whether the functions below know an input [B, 2I, H, W] whose last I channels are convolved.
bool supportsPointwiseHalf(const at::Tensor& input, const at::Tensor& kernel);

/// The convolution of these channels, with its moments.
at::Tensor pointwiseHalfConvolution(const at::Tensor& input, const at::Tensor& kernel, BatchMoments& moments);

/// Its weight gradient; the gradient by the channels is written to the last half of `inputGradient`.
at::Tensor pointwiseHalfGradients(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& kernel,
                                  const at::Tensor& inputGradient);

}  // namespace cohort
