// Decides where Winograd's convolution applies, and hands tensors to its loops (winogradKernels.cc).
#include "kernels/convolution/winograd/winograd.h"

#include <ATen/Parallel.h>

#include "kernels/optionalTensor.h"
#include "kernels/convolution/floatMaps.h"
#include "kernels/convolution/preparedConvolution.h"
#include "kernels/convolution/winograd/winogradKernels.h"

namespace cohort {
namespace {

/// Of a convolution that takes `input` to so many channels; for the gradient by its input, `input` is the given gradient.
/// A picture is taken apart by the dilation: pixels that lie so far apart are an image that is convolved without any.
WinogradShape shapeOf(const at::Tensor& input, int64_t outChannels, int64_t dilation) {
  const int64_t phases = dilation * dilation;
  return {input.size(0) * phases,
          input.size(1),
          outChannels,
          input.size(2) / dilation,
          input.size(3) / dilation,
          input.scalar_type() == at::kBFloat16,
          at::in_parallel_region() ? 1 : at::get_num_threads(),
          phases};
}

/// `[N, C, H, W]` as `[N dilation^2, C, H / dilation, W / dilation]`; itself where there is no dilation.
at::Tensor takenApart(const at::Tensor& maps, int64_t dilation) {
  if (dilation == 1) return maps;
  const int64_t height = maps.size(2) / dilation, width = maps.size(3) / dilation, channels = maps.size(1);
  return maps.permute({0, 2, 3, 1})
      .reshape({-1, height, dilation, width, dilation, channels})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({-1, height, width, channels})
      .permute({0, 3, 1, 2});
}

at::Tensor putTogether(const at::Tensor& maps, int64_t dilation) {
  if (dilation == 1) return maps;
  const int64_t channels = maps.size(1), height = maps.size(2), width = maps.size(3);
  return maps.permute({0, 2, 3, 1})
      .reshape({-1, dilation, dilation, height, width, channels})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({-1, height * dilation, width * dilation, channels})
      .permute({0, 3, 1, 2});
}

bool applies(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings) {
  const std::vector<int64_t> ones{1, 1};
  if (settings.dilation.size() != 2 || settings.dilation[0] != settings.dilation[1]) return false;
  const int64_t dilation = settings.dilation[0];
  return winogradKernels() != nullptr && isOfFloats(input) && isOfFloats(weight) && input.dim() == 4 && weight.dim() == 4 &&
         input.is_contiguous(kMapFormat) && weight.size(1) == input.size(1) && weight.size(2) == 3 && weight.size(3) == 3 &&
         settings.groups == 1 && settings.stride == ones && settings.padding == settings.dilation &&
         input.size(2) % dilation == 0 && input.size(3) % dilation == 0;
}

at::Tensor scratchFor(const WinogradShape& shape) {
  return at::empty({winogradKernels()->scratchBytes(shape)}, at::TensorOptions().dtype(at::kByte));
}

at::Tensor emptyMaps(const WinogradShape& shape, const at::Tensor& input) {
  return at::empty({shape.batch, shape.outChannels, shape.height, shape.width}, input.options().requires_grad(false), kMapFormat);
}

constexpr WinogradNorm kNoNorm{nullptr, nullptr, nullptr};
constexpr WinogradFinish kNoFinish{nullptr, nullptr, false};

WinogradNorm pointersOf(const ConvolutionNorm& norm) {
  return {norm.mean.data_ptr<float>(), norm.slope.data_ptr<float>(), norm.bias.data_ptr<float>()};
}

at::Tensor convolved(const WinogradShape& shape, const at::Tensor& input, const WinogradNorm& norm, const at::Tensor& weight,
                     bool isTurned, const WinogradFinish& finish) {
  const at::Tensor output = emptyMaps(shape, input);
  const at::Tensor scratch = scratchFor(shape), kernel = weight.to(at::kFloat).contiguous(kMapFormat);
  winogradKernels()->convolution(shape, input.data_ptr(), norm, kernel.data_ptr<float>(), isTurned, /*transformed=*/nullptr, finish,
                                 scratch.data_ptr(), output.data_ptr());
  return output;
}

bool isSuitableBias(const OptionalTensor& bias, const WinogradShape& shape) {
  return !isGiven(bias) || (isOfFloats(*bias) && bias->dim() == 1 && bias->numel() == shape.outChannels);
}

bool isSuitableResidual(const OptionalTensor& residual, const at::Tensor& input, const at::Tensor& weight) {
  return !isGiven(residual) || (isLikeResult(*residual, input, weight) && residual->is_contiguous(kMapFormat));
}

at::Tensor residualApart(const OptionalTensor& residual, int64_t dilation) {
  return isGiven(residual) ? takenApart(*residual, dilation) : at::Tensor();
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
    const int64_t dilation = folded_.settings.dilation[0];
    const WinogradShape shape = shapeOf(input, folded_.weight.size(0), dilation);
    if (!winogradKernels()->supports(shape) || winogradKernels()->weightBytes(shape) != transformed_.numel()) return {};
    const at::Tensor apart = takenApart(input, dilation), added = residualApart(residual, dilation);
    const at::Tensor output = emptyMaps(shape, input), scratch = scratchFor(shape);
    const WinogradFinish finish{bias_.data_ptr<float>(), added.defined() ? added.data_ptr() : nullptr, folded_.rectifies};
    winogradKernels()->convolution(shape, apart.data_ptr(), kNoNorm, nullptr, false, transformed_.data_ptr(), finish, scratch.data_ptr(),
                                   output.data_ptr());
    return putTogether(output, dilation);
  }

  bool gainsFromBatches(const at::Tensor& input) const override {
    return winogradKernels()->leavesRoom(shapeOf(input, folded_.weight.size(0), folded_.settings.dilation[0]));
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
  const WinogradShape shape = shapeOf(input, folded.weight.size(0), folded.settings.dilation[0]);
  if (!winogradKernels()->supports(shape) || !isSuitableBias(folded.bias, shape) ||
      !isSuitableResidual(residual, input, folded.weight)) {
    return nullptr;
  }
  return std::make_shared<PreparedWinograd>(shape, folded);
}

at::Tensor winogradConvolution(const at::Tensor& input, const at::Tensor& weight, const ConvolutionFinish& finish,
                               const ConvolutionSettings& settings) {
  if (!applies(input, weight, settings)) return {};
  const int64_t dilation = settings.dilation[0];
  const WinogradShape shape = shapeOf(input, weight.size(0), dilation);
  const auto& [bias, residual, rectifies] = finish;
  if (!winogradKernels()->supports(shape) || !isSuitableBias(bias, shape) || !isSuitableResidual(residual, input, weight)) {
    return {};
  }
  const at::Tensor shift = isGiven(bias) ? bias->to(at::kFloat).contiguous() : at::Tensor();
  const at::Tensor added = residualApart(residual, dilation);
  const at::Tensor output = convolved(shape, takenApart(input, dilation), kNoNorm, weight, false,
                                      {shift.defined() ? shift.data_ptr<float>() : nullptr,
                                       added.defined() ? added.data_ptr() : nullptr, rectifies});
  return putTogether(output, dilation);
}

at::Tensor winogradInputGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                 const ConvolutionSettings& settings) {
  if (!applies(input, weight, settings) || !isLikeResult(gradient, input, weight)) return {};
  const int64_t dilation = settings.dilation[0];
  const WinogradShape shape = shapeOf(gradient, input.size(1), dilation);
  if (!winogradKernels()->supports(shape)) return {};
  const at::Tensor given = takenApart(gradient.contiguous(kMapFormat), dilation);
  return putTogether(convolved(shape, given, kNoNorm, weight, true, kNoFinish), dilation);
}

namespace {

at::Tensor weightGradientOf(const at::Tensor& gradient, const at::Tensor& input, const WinogradNorm& norm,
                            const at::Tensor& weight, const ConvolutionSettings& settings) {
  if (!applies(input, weight, settings) || !isLikeResult(gradient, input, weight)) return {};
  const int64_t dilation = settings.dilation[0];
  const WinogradShape shape = shapeOf(input, weight.size(0), dilation);
  if (!winogradKernels()->supports(shape)) return {};
  const at::Tensor result = at::empty(weight.sizes(), at::TensorOptions().dtype(at::kFloat), kMapFormat);
  const at::Tensor scratch = scratchFor(shape), given = takenApart(gradient.contiguous(kMapFormat), dilation);
  const at::Tensor apart = takenApart(input, dilation);
  winogradKernels()->weightGradient(shape, given.data_ptr(), apart.data_ptr(), norm, scratch.data_ptr(),
                                    result.data_ptr<float>());
  return result.contiguous(weight.suggest_memory_format());
}

}  // namespace

at::Tensor winogradWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings) {
  return weightGradientOf(gradient, input, kNoNorm, weight, settings);
}

at::Tensor winogradNormConvolution(const at::Tensor& input, const ConvolutionNorm& norm, const at::Tensor& weight,
                                   const ConvolutionSettings& settings) {
  if (!applies(input, weight, settings)) return {};
  const int64_t dilation = settings.dilation[0];
  const WinogradShape shape = shapeOf(input, weight.size(0), dilation);
  if (!winogradKernels()->supports(shape)) return {};
  return putTogether(convolved(shape, takenApart(input, dilation), pointersOf(norm), weight, false, kNoFinish), dilation);
}

at::Tensor winogradNormWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const ConvolutionNorm& norm,
                                      const at::Tensor& weight, const ConvolutionSettings& settings) {
  if (!applies(input, weight, settings)) return {};
  return weightGradientOf(gradient, input, pointersOf(norm), weight, settings);
}

}  // namespace cohort
