// From the layout that our loops sum weight gradients in to that of the weights.
#pragma once

#include <ATen/ATen.h>

namespace cohort {

/// `[out, in, k, k]` in the memory format of `weight`, from contiguous float32 `[k, k, in, out]`.
at::Tensor inLayoutOf(const at::Tensor& weight, const at::Tensor& summed);

}  // namespace cohort
