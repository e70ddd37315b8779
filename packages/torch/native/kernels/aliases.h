// Derivatives of what an operator computed, inside its own backward pass.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/variable.h>

namespace cohort {

/// The same tensors as new variables wherever they are differentiated: what is differentiated by these stops there, although one
/// may depend on another. Recorded by autograd.
inline torch::autograd::variable_list aliases(const torch::autograd::variable_list& tensors) {
  torch::autograd::variable_list results;
  for (const auto& tensor : tensors) results.push_back(tensor.defined() && tensor.requires_grad() ? at::alias(tensor) : tensor);
  return results;
}

}  // namespace cohort
