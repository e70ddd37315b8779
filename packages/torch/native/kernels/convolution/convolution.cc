// Convolution in two dimensions as an operator of our own: Winograd's where it applies (winograd.cc), our own loops for each
// channel on its own (depthwise.cc), else ATen's kernels,
// or another way where those are wrong (routes.cc), with what ATen lacks around them. Its gradient is itself two convolutions and two of their gradients when it is
// differentiated again (the meta step), where LibTorch's own double backward unfolds the input and takes ten times as long;
// the weight gradient in bfloat16 is our own loop; under autocast weights stay float32 outside, and their gradient is never
// rounded to bfloat16.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <tuple>

#include "kernels/convolution/convolution.h"
#include "kernels/convolution/convolutionKernels.h"
#include "kernels/convolution/depthwise/depthwise.h"
#include "kernels/convolution/pointwise/pointwise.h"
#include "kernels/convolution/routes.h"
#include "kernels/optionalTensor.h"
#include "kernels/convolution/weightLayout.h"
#include "kernels/convolution/winograd/winograd.h"

namespace cohort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The shape as our loops know it, if the tensors lie in memory as they need it; else false.
bool describe(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
              const ConvolutionSettings& settings, ConvolutionShape& shape) {
  const auto isSuitable = [](const at::Tensor& tensor) {
    return tensor.device().is_cpu() && tensor.layout() == at::kStrided && tensor.has_storage() && tensor.dim() == 4 &&
           tensor.scalar_type() == at::kBFloat16 && !tensor.is_neg() && !tensor._is_zerotensor() &&
           tensor.is_contiguous(at::MemoryFormat::ChannelsLast);
  };
  if (!isSuitable(gradient) || !isSuitable(input) || settings.groups != 1) return false;
  const auto areEqual = [](const std::vector<int64_t>& pair) { return pair[0] == pair[1]; };
  if (!areEqual(settings.stride) || !areEqual(settings.padding) || settings.dilation != std::vector<int64_t>{1, 1} ||
      weight.size(2) != weight.size(3)) {
    return false;
  }
  shape = {input.size(0),    input.size(1),       gradient.size(1),   input.size(2),
           input.size(3),    gradient.size(2),    gradient.size(3),   weight.size(2),
           settings.stride[0], settings.padding[0], at::in_parallel_region() ? 1 : at::get_num_threads()};
  return true;
}

/// The weight's gradient by our own loops, in float32 and the weight's memory format; undefined where they do not apply.
at::Tensor ownWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                             const ConvolutionSettings& settings) {
  const ConvolutionKernels* const kernels = convolutionKernels();
  ConvolutionShape shape;
  if (kernels == nullptr || !describe(gradient, input, weight, settings, shape) || !kernels->supports(shape)) return {};
  const at::Tensor scratch = at::empty({kernels->scratchBytes(shape)}, at::TensorOptions().dtype(at::kByte));
  const at::Tensor result = at::empty({weight.size(2), weight.size(3), weight.size(1), weight.size(0)},
                                      at::TensorOptions().dtype(at::kFloat));
  kernels->weightGradient(shape, gradient.data_ptr(), input.data_ptr(), scratch.data_ptr(), result.data_ptr<float>());
  return inLayoutOf(weight, result);
}

/// The shape of the result on LibTorch's `meta` device, which has no convolution outside of Python.
at::Tensor withoutNumbers(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings) {
  TORCH_CHECK(input.size(1) == weight.size(1) * settings.groups, "expected ", weight.size(1) * settings.groups,
              " input channels, got ", input.size(1));
  std::vector<int64_t> sizes{input.size(0), weight.size(0), 0, 0};
  for (const int64_t d : {0, 1}) {
    const int64_t span = settings.dilation[d] * (weight.size(2 + d) - 1) + 1;
    const int64_t room = input.size(2 + d) + 2 * settings.padding[d] - span;
    TORCH_CHECK(room >= 0, "the kernel is larger than the padded input, ", input.sizes());
    sizes[2 + d] = room / settings.stride[d] + 1;
  }
  return at::empty(sizes, input.options().requires_grad(false), input.suggest_memory_format());
}

}  // namespace

at::Tensor usualConvolution(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                            const ConvolutionSettings& settings) {
  if (input.is_meta()) return withoutNumbers(input, weight, settings);
  at::Tensor fast = winogradConvolution(input, weight, {bias, {}, false}, settings);
  if (!fast.defined()) fast = depthwiseConvolution(input, weight, bias, false, settings);
  if (!fast.defined()) fast = pointwiseConvolution(input, weight, bias, settings);
  if (fast.defined()) return fast;
  const auto type = input.scalar_type();
  const OptionalTensor shift = isGiven(bias) ? OptionalTensor(bias->to(type)) : OptionalTensor();
  return at::convolution(input, weight.to(type), shift, settings.stride, settings.padding, settings.dilation,
                         /*transposed=*/false, /*output_padding=*/{0, 0}, settings.groups);
}

std::tuple<at::Tensor, at::Tensor> usualGradients(const at::Tensor& gradient, const at::Tensor& input,
                                                  const at::Tensor& weight, const ConvolutionSettings& settings,
                                                  bool needsInput, bool needsWeight) {
  at::Tensor inputGradient, weightGradient;
  if (input.is_meta()) return {at::empty_like(input), at::empty_like(weight)};
  if (needsInput) inputGradient = winogradInputGradient(gradient, input, weight, settings);
  if (needsWeight) weightGradient = winogradWeightGradient(gradient, input, weight, settings);
  if (needsInput && !inputGradient.defined()) inputGradient = depthwiseInputGradient(gradient, input, weight, settings);
  if (needsInput && !inputGradient.defined()) inputGradient = pointwiseInputGradient(gradient, input, weight, settings);
  if (needsWeight && !weightGradient.defined()) weightGradient = depthwiseWeightGradient(gradient, input, weight, settings);
  if (needsWeight && !weightGradient.defined()) weightGradient = pointwiseWeightGradient(gradient, input, weight, settings);
  if (needsWeight && !weightGradient.defined()) weightGradient = ownWeightGradient(gradient, input, weight, settings);
  const bool lacksInput = needsInput && !inputGradient.defined(), lacksWeight = needsWeight && !weightGradient.defined();
  if (lacksInput || lacksWeight) {
    const auto [ofInput, ofWeight, ofBias] = at::convolution_backward(
        gradient, input, weight.to(input.scalar_type()), c10::nullopt, settings.stride, settings.padding, settings.dilation,
        /*transposed=*/false, /*output_padding=*/{0, 0}, settings.groups, {lacksInput, lacksWeight, false});
    if (lacksInput) inputGradient = ofInput;
    if (lacksWeight) weightGradient = ofWeight;
  }
  if (needsWeight) weightGradient = weightGradient.to(weight.scalar_type());
  return {inputGradient, weightGradient};
}

namespace {

thread_local bool leavesWeightGradientsOut = false;

}  // namespace

WithoutWeightGradientValues::WithoutWeightGradientValues() : before_(leavesWeightGradientsOut) {
  leavesWeightGradientsOut = true;
}
WithoutWeightGradientValues::~WithoutWeightGradientValues() { leavesWeightGradientsOut = before_; }

namespace {

/// Recorded by autograd where it records.
at::Tensor recordedConvolution(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings);

/// The gradients of a convolution by input and weight, as a function that can be differentiated by all it takes.
class ConvolutionGradients : public torch::autograd::Function<ConvolutionGradients> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& gradient, const at::Tensor& input,
                               const at::Tensor& weight, const ConvolutionSettings& settings, bool needsInput,
                               bool needsWeight) {
    context->save_for_backward({gradient, input, weight});
    settings.save(context->saved_data);
    context->set_materialize_grads(false);
    const bool isLeftOut = needsWeight && leavesWeightGradientsOut;
    auto [ofInput, ofWeight] =
        convolutionGradients(gradient, input, weight, settings, needsInput, needsWeight && !isLeftOut);
    if (isLeftOut) ofWeight = at::zeros({}, weight.options().requires_grad(false)).expand(weight.sizes());
    // Autograd wants a tensor for every output; an empty one is thrown away by the caller.
    const auto orEmpty = [&](const at::Tensor& tensor) { return tensor.defined() ? tensor : at::empty({0}); };
    return {orEmpty(ofInput), orEmpty(ofWeight)};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &gradient = saved[0], &input = saved[1], &weight = saved[2];
    const ConvolutionSettings settings = ConvolutionSettings::load(context->saved_data);
    const auto isReal = [](const at::Tensor& tensor) { return tensor.defined() && tensor.dim() == 4; };
    variable_list results(6);
    const auto add = [](at::Tensor& to, const at::Tensor& value) { to = to.defined() ? to + value : value; };
    // Both gradients are linear in each of their arguments, so each derivative is a convolution or a gradient of one.
    if (isReal(gradients[0])) {
      if (context->needs_input_grad(0)) add(results[0], recordedConvolution(gradients[0], weight, settings));
      if (context->needs_input_grad(2)) {
        results[2] = recordedConvolutionGradients(gradient, gradients[0], weight, settings, false, true)[1];
      }
    }
    if (isReal(gradients[1])) {
      const at::Tensor& kernel = gradients[1];
      if (context->needs_input_grad(0)) add(results[0], recordedConvolution(input, kernel, settings));
      if (context->needs_input_grad(1)) {
        results[1] = recordedConvolutionGradients(gradient, input, kernel, settings, true, false)[0];
      }
    }
    return results;
  }
};

}  // namespace

variable_list recordedConvolutionGradients(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                           const ConvolutionSettings& settings, bool needsInput, bool needsWeight) {
  if (at::GradMode::is_enabled()) {
    return ConvolutionGradients::apply(gradient, input, weight, settings, needsInput, needsWeight);
  }
  const auto results = convolutionGradients(gradient, input, weight, settings, needsInput, needsWeight);
  return {std::get<0>(results), std::get<1>(results)};
}

namespace {

class Convolution : public torch::autograd::Function<Convolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const OptionalTensor& bias, const ConvolutionSettings& settings) {
    context->save_for_backward({input, weight});
    settings.save(context->saved_data);
    if (isGiven(bias)) context->saved_data["biasType"] = bias->scalar_type();
    return convolve(input, weight, bias, settings);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const ConvolutionSettings settings = ConvolutionSettings::load(context->saved_data);
    const bool needsInput = context->needs_input_grad(0), needsWeight = context->needs_input_grad(1);
    variable_list results(4);
    if (needsInput || needsWeight) {
      const auto both = recordedConvolutionGradients(gradients[0], saved[0], saved[1], settings, needsInput,
                                                                needsWeight);
      if (needsInput) results[0] = both[0];
      if (needsWeight) results[1] = both[1];
    }
    const auto biasType = context->saved_data.find("biasType");
    if (biasType != context->saved_data.end() && context->needs_input_grad(2)) {
      results[2] = gradients[0].sum({0, 2, 3}, false, biasType->second.toScalarType());
    }
    return results;
  }
};

at::Tensor recordedConvolution(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings) {
  return at::GradMode::is_enabled() ? Convolution::apply(input, weight, OptionalTensor(), settings)
                                    : convolve(input, weight, {}, settings);
}

/// Refuses what ATen's double backward would only refuse later, and mixtures of dtypes but bfloat16 with float32 weights.
void check(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias) {
  TORCH_CHECK(input.dim() == 4, "argument 'input' must have four dimensions, [B, C, H, W], got ", input.sizes());
  TORCH_CHECK(weight.dim() == 4, "argument 'weight' must have four dimensions, got ", weight.sizes());
  const auto fits = [&](const at::Tensor& tensor) {
    return tensor.scalar_type() == input.scalar_type() ||
           (input.scalar_type() == at::kBFloat16 && tensor.scalar_type() == at::kFloat);
  };
  TORCH_CHECK(fits(weight), "argument 'weight' must have the input's dtype ", input.scalar_type(), ", got ",
              weight.scalar_type());
  TORCH_CHECK(!isGiven(bias) || fits(*bias), "argument 'bias' must have the input's dtype ", input.scalar_type());
}

at::Tensor convolution2d(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                         at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
  check(input, weight, bias);
  return Convolution::apply(input, weight, bias,
                            ConvolutionSettings{stride.vec(), padding.vec(), dilation.vec(), groups});
}

/// As ATen's convolutions under autocast, but that weights are converted inside: their gradients stay float32.
template <c10::DeviceType device>
at::Tensor narrowed(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias, at::IntArrayRef stride,
                    at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
  const c10::impl::ExcludeDispatchKeyGuard guard(at::autocast::get_autocast_dispatch_key_from_device_type(device));
  const auto type = at::autocast::get_lower_precision_fp_from_device_type(device);
  return convolution2d(at::autocast::cached_cast(type, input, device), weight, bias, stride, padding, dilation, groups);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cohort, library) {
  library.def(
      "convolution2d(Tensor input, Tensor weight, Tensor? bias, int[2] stride=1, int[2] padding=0, int[2] dilation=1, int "
      "groups=1) -> Tensor",
      convolution2d);
}

TORCH_LIBRARY_IMPL(cohort, AutocastCPU, library) { library.impl("convolution2d", narrowed<c10::DeviceType::CPU>); }
TORCH_LIBRARY_IMPL(cohort, AutocastCUDA, library) { library.impl("convolution2d", narrowed<c10::DeviceType::CUDA>); }

}  // namespace cohort
