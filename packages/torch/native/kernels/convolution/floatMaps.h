// What our own convolutions take: float32 or bfloat16 numbers in memory, and maps of them in channels-last.
#pragma once

#include <ATen/ATen.h>

namespace cohort {

constexpr auto kMapFormat = at::MemoryFormat::ChannelsLast;

/// Whether the numbers of a tensor can be read from its memory, in whatever order.
inline bool isOfFloats(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.layout() == at::kStrided && tensor.has_storage() &&
         (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16) && !tensor.is_neg() &&
         !tensor._is_zerotensor();
}

/// Whether a tensor is like the result of a convolution that keeps height and width, in whatever memory format.
inline bool isLikeResult(const at::Tensor& tensor, const at::Tensor& input, const at::Tensor& weight) {
  return isOfFloats(tensor) && tensor.scalar_type() == input.scalar_type() &&
         tensor.sizes() == at::IntArrayRef({input.size(0), weight.size(0), input.size(2), input.size(3)});
}

}  // namespace cohort
