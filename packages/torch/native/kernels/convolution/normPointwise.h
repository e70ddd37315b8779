// Batch normalisation with a 1x1 convolution after it, for the operators that contain them.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/variable.h>

#include "kernels/batchNorm/batchNorm.h"
#include "kernels/convolution/convolution.h"

namespace cohort {

/// The input, its normalisation, and the convolution's weight.
struct NormPointwiseRecord {
  at::Tensor input, weight, bias, kernel, mean, scale, slope, wideBias;
  c10::intrusive_ptr<SharedBatch> shared;

  torch::autograd::variable_list tensors() const { return {input, weight, bias, kernel, mean, scale, slope, wideBias}; }
  static NormPointwiseRecord of(const torch::autograd::variable_list& saved, size_t first, const c10::intrusive_ptr<SharedBatch>& shared) {
    return {saved[first],     saved[first + 1], saved[first + 2], saved[first + 3],
            saved[first + 4], saved[first + 5], saved[first + 6], saved[first + 7], shared};
  }
};

/// The gradients by input (undefined where it is not needed), weight, bias and kernel, without being recorded.
torch::autograd::variable_list normPointwiseGradients(const at::Tensor& gradient, const NormPointwiseRecord& record,
                                                      bool needsInput);

}  // namespace cohort
