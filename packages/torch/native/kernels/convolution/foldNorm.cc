// The weights of a convolution that has taken in the batch normalisation after it, for foldedConvolution.cc.
#include <ATen/ATen.h>
#include <torch/library.h>

#include <cmath>

#include "kernels/optionalTensor.h"

namespace cohort {
namespace {

/// In float64, so that only the last step rounds.
at::Tensor wide(const at::Tensor& tensor) { return tensor.to(at::kDouble); }

/// `weight` with every output channel times its `slope`; undefined where a result is not finite.
at::Tensor scaledFloats(const at::Tensor& weight, const at::Tensor& slope) {
  const at::Tensor result = at::empty_like(weight);
  const int64_t channels = weight.size(0), count = weight.numel() / channels;
  const auto* from = weight.data_ptr<float>();
  const auto* factors = slope.data_ptr<double>();
  auto* to = result.data_ptr<float>();
  // Not a number where any of them is not finite.
  float witness = 0;
  for (int64_t channel = 0; channel < channels; ++channel, from += count, to += count) {
    for (int64_t i = 0; i < count; ++i) {
      to[i] = static_cast<float>(static_cast<double>(from[i]) * factors[channel]);
      witness += to[i] * 0;
    }
  }
  return std::isfinite(witness) ? result : at::Tensor();
}

/// Channels outermost, the elements of each together.
bool liesByChannels(const at::Tensor& weight) {
  return weight.device().is_cpu() && weight.scalar_type() == at::kFloat && weight.layout() == at::kStrided && weight.dim() == 4 &&
         weight.numel() > 0 && (weight.is_contiguous() || weight.is_contiguous(at::MemoryFormat::ChannelsLast));
}

/// Weight `[O, I / groups, K, K]` and bias `[O]` of convolution and normalisation as one; empty where one of them would not be
/// finite.
std::vector<at::Tensor> foldNorm(const at::Tensor& weight, const OptionalTensor& bias, const at::Tensor& normWeight,
                                 const at::Tensor& normBias, const at::Tensor& mean, const at::Tensor& variance, double epsilon) {
  const at::NoGradGuard noGrad;
  const at::Tensor slope = wide(normWeight).div(wide(variance).add(epsilon).sqrt()).contiguous();
  const at::Tensor centre = isGiven(bias) ? wide(mean).sub(wide(*bias)) : wide(mean);
  const at::Tensor shift = wide(normBias).sub(centre.mul(slope)).to(weight.scalar_type());
  if (!shift.isfinite().all().item<bool>()) return {};
  at::Tensor scaled;
  if (liesByChannels(weight)) {
    scaled = scaledFloats(weight, slope);
    if (!scaled.defined()) return {};
  } else {
    scaled = wide(weight).mul(slope.view({-1, 1, 1, 1})).to(weight.scalar_type());
    if (!scaled.isfinite().all().item<bool>()) return {};
    const bool isLast = weight.is_contiguous(at::MemoryFormat::ChannelsLast);
    scaled = scaled.contiguous(isLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  }
  return {scaled, shift};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cohort, library) {
  library.def(
      "fold_norm(Tensor weight, Tensor? bias, Tensor norm_weight, Tensor norm_bias, Tensor mean, Tensor variance, float eps) -> "
      "Tensor[]",
      foldNorm);
}

}  // namespace cohort
