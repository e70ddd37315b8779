// Decides where our own depthwise convolution applies, and hands tensors to its loops (depthwiseKernels.cc).
#include "kernels/convolution/depthwise/depthwise.h"

#include <ATen/Parallel.h>

#include "kernels/convolution/depthwise/depthwiseKernels.h"
#include "kernels/convolution/floatMaps.h"
#include "kernels/convolution/preparedConvolution.h"

namespace cohort {
namespace {

bool describe(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings, DepthwiseShape& shape) {
  const std::vector<int64_t> ones{1, 1};
  if (depthwiseKernels() == nullptr || !isOfFloats(input) || !isOfFloats(weight) || input.dim() != 4 || weight.dim() != 4 ||
      !input.is_contiguous(kMapFormat) || settings.groups != input.size(1) || weight.size(0) != input.size(1) ||
      weight.size(1) != 1 || weight.size(2) != 3 || weight.size(3) != 3 || settings.padding != ones ||
      settings.dilation != ones || settings.stride[0] != settings.stride[1]) {
    return false;
  }
  const int64_t stride = settings.stride[0];
  shape = {input.size(0),
           input.size(1),
           input.size(2),
           input.size(3),
           stride > 0 ? (input.size(2) - 1) / stride + 1 : 0,
           stride > 0 ? (input.size(3) - 1) / stride + 1 : 0,
           stride,
           input.scalar_type() == at::kBFloat16,
           at::in_parallel_region() ? 1 : at::get_num_threads()};
  return depthwiseKernels()->supports(shape);
}

/// [C, 1, 3, 3] to [3, 3, C] in float32.
at::Tensor tapsOf(const at::Tensor& weight) { return weight.to(at::kFloat).view({-1, 9}).t().contiguous(); }

bool isSuitableBias(const OptionalTensor& bias, const DepthwiseShape& shape) {
  return !isGiven(bias) || (isOfFloats(*bias) && bias->dim() == 1 && bias->numel() == shape.channels);
}

at::Tensor convolved(const DepthwiseShape& shape, const at::Tensor& input, const at::Tensor& taps, const at::Tensor& bias,
                     bool rectifies) {
  const at::Tensor output = at::empty({shape.batch, shape.channels, shape.outHeight, shape.outWidth},
                                      input.options().requires_grad(false), kMapFormat);
  depthwiseKernels()->convolution(shape, input.data_ptr(), taps.data_ptr<float>(),
                                  bias.defined() ? bias.data_ptr<float>() : nullptr, rectifies, output.data_ptr());
  return output;
}

/// Whether a gradient is like a result of this convolution, in whatever memory format.
bool fits(const at::Tensor& gradient, const at::Tensor& input, const DepthwiseShape& shape) {
  return isOfFloats(gradient) && gradient.scalar_type() == input.scalar_type() &&
         gradient.sizes() == at::IntArrayRef({shape.batch, shape.channels, shape.outHeight, shape.outWidth});
}

class PreparedDepthwise : public PreparedConvolution {
 public:
  explicit PreparedDepthwise(const FoldedArguments& folded)
      : folded_(folded), bias_(folded.bias.to(at::kFloat).contiguous()), taps_(tapsOf(folded.weight)) {}

  at::Tensor run(const at::Tensor& input, const OptionalTensor& residual) override {
    DepthwiseShape shape;
    if (isGiven(residual) || !describe(input, folded_.weight, folded_.settings, shape)) return {};
    return convolved(shape, input, taps_, bias_, folded_.rectifies);
  }

 private:
  FoldedArguments folded_;
  at::Tensor bias_;
  at::Tensor taps_;
};

}  // namespace

std::shared_ptr<PreparedConvolution> prepareDepthwise(const at::Tensor& input, const OptionalTensor& residual,
                                                      const FoldedArguments& folded) {
  DepthwiseShape shape;
  if (isGiven(residual) || !describe(input, folded.weight, folded.settings, shape) || !isSuitableBias(folded.bias, shape)) {
    return nullptr;
  }
  return std::make_shared<PreparedDepthwise>(folded);
}

at::Tensor depthwiseConvolution(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias, bool rectifies,
                                const ConvolutionSettings& settings) {
  DepthwiseShape shape;
  if (!describe(input, weight, settings, shape) || !isSuitableBias(bias, shape)) return {};
  return convolved(shape, input, tapsOf(weight), isGiven(bias) ? bias->to(at::kFloat).contiguous() : at::Tensor(), rectifies);
}

at::Tensor depthwiseInputGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings) {
  DepthwiseShape shape;
  if (!describe(input, weight, settings, shape) || !fits(gradient, input, shape)) return {};
  const at::Tensor given = gradient.contiguous(kMapFormat), taps = tapsOf(weight);
  const at::Tensor result = at::empty(input.sizes(), input.options().requires_grad(false), kMapFormat);
  depthwiseKernels()->inputGradient(shape, given.data_ptr(), taps.data_ptr<float>(), result.data_ptr());
  return result;
}

at::Tensor depthwiseWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                   const ConvolutionSettings& settings) {
  DepthwiseShape shape;
  if (!describe(input, weight, settings, shape) || !fits(gradient, input, shape)) return {};
  const at::Tensor given = gradient.contiguous(kMapFormat);
  const at::Tensor scratch = at::empty({depthwiseKernels()->scratchBytes(shape)}, at::TensorOptions().dtype(at::kByte));
  const at::Tensor result = at::empty({9, shape.channels}, at::TensorOptions().dtype(at::kFloat));
  depthwiseKernels()->weightGradient(shape, given.data_ptr(), input.data_ptr(), scratch.data_ptr(), result.data_ptr<float>());
  return result.t().reshape({-1, 1, 3, 3}).contiguous(weight.suggest_memory_format());
}

bool supportsDepthwise(const at::Tensor& input, const at::Tensor& weight) {
  if (depthwiseKernels() == nullptr || !isOfFloats(input) || !isOfFloats(weight) || input.dim() != 4) return false;
  const int64_t height = input.size(2), width = input.size(3);
  return depthwiseKernels()->supports({input.size(0), weight.size(0), height, width, height, width, 1,
                                       input.scalar_type() == at::kBFloat16, 1});
}

}  // namespace cohort
