// Decides where Winograd's convolution applies, and hands tensors to its loops (winogradKernels.cc).
#include "kernels/convolution/winograd/winograd.h"

#include <ATen/Parallel.h>

#include "kernels/optionalTensor.h"
#include "kernels/convolution/floatMaps.h"
#include "kernels/convolution/preparedConvolution.h"
#include "kernels/convolution/weightLayout.h"
#include "kernels/convolution/winograd/winogradKernels.h"

namespace cohort {
namespace {

/// Of a convolution that takes `input` to so many channels; for the gradient by its input, `input` is the given gradient.
WinogradShape shapeOf(const at::Tensor& input, int64_t outChannels) {
  return {input.size(0), input.size(1), outChannels, input.size(2), input.size(3), input.scalar_type() == at::kBFloat16,
          at::in_parallel_region() ? 1 : at::get_num_threads()};
}

bool applies(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings) {
  const std::vector<int64_t> ones{1, 1};
  return winogradKernels() != nullptr && isOfFloats(input) && isOfFloats(weight) && input.dim() == 4 && weight.dim() == 4 &&
         input.is_contiguous(kMapFormat) && weight.size(1) == input.size(1) && weight.size(2) == 3 && weight.size(3) == 3 &&
         settings.groups == 1 && settings.stride == ones && settings.padding == ones && settings.dilation == ones;
}

/// Whether a tensor is like a result of this convolution, in whatever memory format.
bool fits(const at::Tensor& tensor, const at::Tensor& input, const at::Tensor& weight) {
  return isOfFloats(tensor) && tensor.scalar_type() == input.scalar_type() &&
         tensor.sizes() == at::IntArrayRef({input.size(0), weight.size(0), input.size(2), input.size(3)});
}

at::Tensor scratchFor(const WinogradShape& shape) {
  return at::empty({winogradKernels()->scratchBytes(shape)}, at::TensorOptions().dtype(at::kByte));
}

at::Tensor convolved(const WinogradShape& shape, const at::Tensor& input, const at::Tensor& weight, bool isTurned,
                     const WinogradFinish& finish) {
  const at::Tensor output = at::empty({shape.batch, shape.outChannels, shape.height, shape.width},
                                      input.options().requires_grad(false), kMapFormat);
  const at::Tensor scratch = scratchFor(shape), kernel = weight.to(at::kFloat).contiguous(kMapFormat);
  winogradKernels()->convolution(shape, input.data_ptr(), kernel.data_ptr<float>(), isTurned, /*transformed=*/nullptr, finish,
                                 scratch.data_ptr(), output.data_ptr());
  return output;
}

bool isSuitableBias(const OptionalTensor& bias, const WinogradShape& shape) {
  return !isGiven(bias) || (isOfFloats(*bias) && bias->dim() == 1 && bias->numel() == shape.outChannels);
}

bool isSuitableResidual(const OptionalTensor& residual, const at::Tensor& input, const at::Tensor& weight) {
  return !isGiven(residual) || (fits(*residual, input, weight) && residual->is_contiguous(kMapFormat));
}

/// Weights that are transformed already. They are the same for any size of map and batch.
class PreparedWinograd : public PreparedConvolution {
 public:
  PreparedWinograd(const WinogradShape& shape, const FoldedArguments& folded)
      : folded_(folded), bias_(folded.bias.to(at::kFloat).contiguous()) {
    const at::Tensor kernel = folded.weight.to(at::kFloat).contiguous(kMapFormat);
    transformed_ = at::empty({winogradKernels()->weightBytes(shape)}, at::TensorOptions().dtype(at::kByte));
    winogradKernels()->transformWeights(shape, kernel.data_ptr<float>(), transformed_.data_ptr());
  }

  at::Tensor run(const at::Tensor& input, const OptionalTensor& residual) override {
    if (!applies(input, folded_.weight, folded_.settings) || !isSuitableResidual(residual, input, folded_.weight)) return {};
    const WinogradShape shape = shapeOf(input, folded_.weight.size(0));
    if (!winogradKernels()->supports(shape) || winogradKernels()->weightBytes(shape) != transformed_.numel()) return {};
    const at::Tensor output =
        at::empty({shape.batch, shape.outChannels, shape.height, shape.width}, input.options().requires_grad(false), kMapFormat);
    const at::Tensor scratch = scratchFor(shape);
    const WinogradFinish finish{bias_.data_ptr<float>(), isGiven(residual) ? residual->data_ptr() : nullptr, folded_.rectifies};
    winogradKernels()->convolution(shape, input.data_ptr(), nullptr, false, transformed_.data_ptr(), finish, scratch.data_ptr(),
                                   output.data_ptr());
    return output;
  }

 private:
  FoldedArguments folded_;
  at::Tensor bias_;
  at::Tensor transformed_;
};

}  // namespace

std::shared_ptr<PreparedConvolution> prepareWinograd(const at::Tensor& input, const OptionalTensor& residual,
                                                     const FoldedArguments& folded) {
  if (!applies(input, folded.weight, folded.settings)) return nullptr;
  const WinogradShape shape = shapeOf(input, folded.weight.size(0));
  if (!winogradKernels()->supports(shape) || !isSuitableBias(folded.bias, shape) ||
      !isSuitableResidual(residual, input, folded.weight)) {
    return nullptr;
  }
  return std::make_shared<PreparedWinograd>(shape, folded);
}

at::Tensor winogradConvolution(const at::Tensor& input, const at::Tensor& weight, const ConvolutionFinish& finish,
                               const ConvolutionSettings& settings) {
  if (!applies(input, weight, settings)) return {};
  const WinogradShape shape = shapeOf(input, weight.size(0));
  const auto& [bias, residual, rectifies] = finish;
  if (!winogradKernels()->supports(shape) || !isSuitableBias(bias, shape) || !isSuitableResidual(residual, input, weight)) {
    return {};
  }
  const at::Tensor added = isGiven(bias) ? bias->to(at::kFloat).contiguous() : at::Tensor();
  return convolved(shape, input, weight, false,
                   {added.defined() ? added.data_ptr<float>() : nullptr,
                    isGiven(residual) ? residual->data_ptr() : nullptr, rectifies});
}

at::Tensor winogradInputGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                 const ConvolutionSettings& settings) {
  if (!applies(input, weight, settings) || !fits(gradient, input, weight)) return {};
  const WinogradShape shape = shapeOf(gradient, input.size(1));
  if (!winogradKernels()->supports(shape)) return {};
  return convolved(shape, gradient.contiguous(kMapFormat), weight, true, {nullptr, nullptr, false});
}

at::Tensor winogradWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings) {
  if (!applies(input, weight, settings) || !fits(gradient, input, weight)) return {};
  const WinogradShape shape = shapeOf(input, weight.size(0));
  if (!winogradKernels()->supportsWeightGradient(shape)) return {};
  const at::Tensor result = at::empty({3, 3, shape.inChannels, shape.outChannels}, at::TensorOptions().dtype(at::kFloat));
  const at::Tensor scratch = scratchFor(shape), given = gradient.contiguous(kMapFormat);
  winogradKernels()->weightGradient(shape, given.data_ptr(), input.data_ptr(), scratch.data_ptr(),
                                    result.data_ptr<float>());
  return inLayoutOf(weight, result);
}

}  // namespace cohort
