// Tensors that may be left out, as operators are given them.
#pragma once

#include <ATen/ATen.h>

namespace cohort {

using OptionalTensor = c10::optional<at::Tensor>;

/// Whether there is a tensor: Python's None comes as none, an undefined tensor as one without contents.
inline bool isGiven(const OptionalTensor& tensor) { return tensor.has_value() && tensor->defined(); }

}  // namespace cohort
