// A convolution whose weights have taken in the batch normalisation after it, with the addition of a residual and ReLU: what
// is left of a residual block in inference. One pass where oneDNN can be called directly, else ATen's operators in place.
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "kernels/batchNorm/batchNorm.h"
#include "kernels/convolution/convolution.h"
#include "kernels/convolution/depthwise/depthwise.h"
#include "kernels/convolution/onednnConvolution.h"
#include "kernels/convolution/preparedConvolution.h"
#include "kernels/convolution/routes.h"
#include "kernels/convolution/winograd/winograd.h"

namespace cohort {

at::Tensor usualFolded(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                       const OptionalTensor& residual, bool rectifies, const ConvolutionSettings& settings) {
  at::Tensor output = winogradConvolution(input, weight, {bias, residual, rectifies}, settings);
  if (!output.defined() && !isGiven(residual)) output = depthwiseConvolution(input, weight, bias, rectifies, settings);
  if (output.defined()) return output;
  return onednnConvolution(input, weight.to(input.scalar_type()), bias, residual, rectifies, settings);
}

std::shared_ptr<PreparedConvolution> prepareConvolution(const at::Tensor& input, const OptionalTensor& residual,
                                                        const FoldedArguments& folded) {
  const auto& [weight, bias, rectifies, settings] = folded;
  if (batchNormKernels() == nullptr || !isPlain(input) || !isPlain(weight) || !isPlain(bias) || !isPlain(residual) ||
      (isGiven(residual) && residual->scalar_type() != input.scalar_type()) ||
      weight.scalar_type() != input.scalar_type()) {
    return nullptr;
  }
  const auto pass = isGiven(residual) ? ConvolutionPass::kFoldedResidual : ConvolutionPass::kFolded;
  if (convolutionRoute(pass, input, weight, settings) != ConvolutionRoute::kUsual) return nullptr;
  auto prepared = prepareWinograd(input, residual, folded);
  if (prepared == nullptr) prepared = prepareDepthwise(input, residual, folded);
  return prepared != nullptr ? prepared : prepareOnednn(input, residual, folded);
}

namespace {

at::Tensor foldedConvolution(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                             const OptionalTensor& residual, bool rectifies, at::IntArrayRef stride, at::IntArrayRef padding,
                             at::IntArrayRef dilation, int64_t groups) {
  OptionalTensor shortcut;
  if (isGiven(residual)) shortcut = residual->to(input.scalar_type());
  const auto needsGradient = [](const at::Tensor& tensor) { return tensor.requires_grad(); };
  const bool isRecorded = at::GradMode::is_enabled() && (needsGradient(input) || needsGradient(weight) || needsGradient(bias) ||
                                                         (shortcut.has_value() && needsGradient(*shortcut)));
  // Without own kernels nothing but ATen's operators is to run.
  if (!isRecorded && batchNormKernels() != nullptr && isPlain(input) && isPlain(weight) && isPlain(bias) && isPlain(shortcut)) {
    const ConvolutionSettings settings{stride.vec(), padding.vec(), dilation.vec(), groups};
    const auto pass = isGiven(shortcut) ? ConvolutionPass::kFoldedResidual : ConvolutionPass::kFolded;
    if (convolutionRoute(pass, input, weight, settings) == ConvolutionRoute::kUsual) {
      const at::Tensor output = usualFolded(input, weight, bias, shortcut, rectifies, settings);
      if (output.defined()) return output;
    }
  }
  static const auto convolve = c10::Dispatcher::singleton()
                                   .findSchemaOrThrow("cohort::convolution2d", "")
                                   .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&,
                                                     at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t)>();
  at::Tensor output = convolve.call(input, weight, bias, stride, padding, dilation, groups);
  if (shortcut.has_value()) {
    TORCH_CHECK(shortcut->sizes() == output.sizes(), "argument 'residual' must have the shape of the result, ", output.sizes(),
                ", got ", shortcut->sizes());
    output.add_(*shortcut);
  }
  return rectifies ? output.relu_() : output;
}

/// Under autocast maps are narrow; weights are converted inside.
template <c10::DeviceType device>
at::Tensor foldedUnderAutocast(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                               const OptionalTensor& residual, bool rectifies, at::IntArrayRef stride,
                               at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
  const c10::impl::ExcludeDispatchKeyGuard guard(at::autocast::get_autocast_dispatch_key_from_device_type(device));
  const auto type = at::autocast::get_lower_precision_fp_from_device_type(device);
  return foldedConvolution(at::autocast::cached_cast(type, input, device), weight, bias, residual, rectifies, stride, padding,
                           dilation, groups);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cohort, library) {
  library.def(
      "folded_convolution(Tensor input, Tensor weight, Tensor bias, Tensor? residual, bool rectifies, int[2] stride=1, int[2] "
      "padding=0, int[2] dilation=1, int groups=1) -> Tensor",
      foldedConvolution);
}

TORCH_LIBRARY_IMPL(cohort, AutocastCPU, library) {
  library.impl("folded_convolution", foldedUnderAutocast<c10::DeviceType::CPU>);
}
TORCH_LIBRARY_IMPL(cohort, AutocastCUDA, library) {
  library.impl("folded_convolution", foldedUnderAutocast<c10::DeviceType::CUDA>);
}

}  // namespace cohort
