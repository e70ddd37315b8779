// A folded convolution made ready for many inputs of one shape: its weights are laid out once instead of at every call, which
// for a single image takes longer than the convolution.
#pragma once

#include <ATen/ATen.h>

#include <memory>

#include "kernels/convolution/convolution.h"
#include "kernels/optionalTensor.h"

namespace cohort {

/// What `foldedConvolution` takes besides input and residual.
struct FoldedArguments {
  at::Tensor weight;
  at::Tensor bias;
  bool rectifies;
  ConvolutionSettings settings;
};

class PreparedConvolution {
 public:
  virtual ~PreparedConvolution() = default;

  /// As `foldedConvolution`, bit for bit, and outside of autograd. Undefined for an input or residual that it is not made
  /// for, and where the number of threads has changed. Several threads may call it at the same time.
  virtual at::Tensor run(const at::Tensor& input, const OptionalTensor& residual) = 0;

  /// Whether `run` takes less time for several such inputs joined to a batch, and gives each the bits that it has alone.
  virtual bool gainsFromBatches(const at::Tensor& input) const { return false; }
};

/// Ready for inputs like this one; null where such a convolution is not one of the fast ones. Weight and bias must not change
/// afterwards.
std::shared_ptr<PreparedConvolution> prepareConvolution(const at::Tensor& input, const OptionalTensor& residual,
                                                        const FoldedArguments& folded);

/// The parts of it, by the kind of loops.
std::shared_ptr<PreparedConvolution> prepareWinograd(const at::Tensor& input, const OptionalTensor& residual,
                                                     const FoldedArguments& folded);
std::shared_ptr<PreparedConvolution> prepareDepthwise(const at::Tensor& input, const OptionalTensor& residual,
                                                      const FoldedArguments& folded);
std::shared_ptr<PreparedConvolution> prepareOnednn(const at::Tensor& input, const OptionalTensor& residual,
                                                   const FoldedArguments& folded);

}  // namespace cohort
