// The basic unit of ShuffleNet V2 (arXiv 1807.11164, figure 3c) as one operator, for training. Half of the channels pass by, the
// others go through a 1x1, a depthwise 3x3 and another 1x1 convolution with a normalisation after each, and both are shuffled.
// Splitting and joining cost no pass over memory of their own: the convolution reads one half of the input where it lies, the last
// normalisation writes between the channels that pass by, and on the way back it is the same.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <tuple>

#include "kernels/aliases.h"
#include "kernels/batchNorm/batchNorm.h"
#include "kernels/channels/shuffledNormKernels.h"
#include "kernels/convolution/convolution.h"
#include "kernels/convolution/depthwise/depthwise.h"
#include "kernels/convolution/normPointwise.h"
#include "kernels/convolution/pointwise/pointwise.h"

namespace cohort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A convolution and the normalisation after it.
struct UnitLayer {
  at::Tensor kernel, weight, bias;
};
/// Input and layers in one row, as autograd sees them: input, then kernel, weight and bias of each layer.
constexpr size_t kLayers = 3, kArguments = 1 + 3 * kLayers;
UnitLayer layerOf(const variable_list& arguments, size_t layer) {
  return {arguments[1 + 3 * layer], arguments[2 + 3 * layer], arguments[3 + 3 * layer]};
}

/// What is no tensor to differentiate by.
struct UnitSettings {
  /// Mean and variance of each layer; none to leave them alone.
  std::vector<at::Tensor> running;
  double momentum;
  double epsilon;

  BatchNormSettings of(size_t layer, bool rectifies) const {
    const auto vector = [&](size_t index) { return running.empty() ? OptionalTensor() : OptionalTensor(running[index]); };
    return {vector(2 * layer), vector(2 * layer + 1), /*training=*/true, momentum, epsilon, rectifies};
  }
};

ConvolutionSettings depthwiseSettings(const at::Tensor& kernel) { return {{1, 1}, {1, 1}, {1, 1}, kernel.size(0)}; }

ShuffledNorm shuffledNormOf(const at::Tensor& mean, const at::Tensor& slope, const at::Tensor& bias) {
  return {mean.data_ptr<float>(), slope.data_ptr<float>(), bias.data_ptr<float>()};
}

/// The unit as a chain of operators, each of which can be differentiated any number of times.
at::Tensor composed(const variable_list& arguments, const UnitSettings& settings) {
  auto& dispatcher = c10::Dispatcher::singleton();
  static const auto split = dispatcher.findSchemaOrThrow("cohort::split_channels", "")
                                .typed<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&)>();
  static const auto join =
      dispatcher.findSchemaOrThrow("cohort::join_shuffled", "").typed<at::Tensor(const at::Tensor&, const at::Tensor&)>();
  static const auto norm = dispatcher.findSchemaOrThrow("cohort::batch_norm_relu", "")
                               .typed<at::Tensor(const at::Tensor&, const OptionalTensor&, const OptionalTensor&,
                                                 const OptionalTensor&, const OptionalTensor&, bool, double, double)>();
  static const auto convolution = dispatcher.findSchemaOrThrow("cohort::convolution2d", "")
                                      .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&,
                                                        at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t)>();
  static const auto normed = dispatcher.findSchemaOrThrow("cohort::norm_pointwise", "")
                                 .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const OptionalTensor&,
                                                   const OptionalTensor&, double, double, const at::Tensor&)>();
  const auto run = [](const auto& operation, const at::Tensor& input, const at::Tensor& kernel, const ConvolutionSettings& given) {
    return operation.call(input, kernel, {}, given.stride, given.padding, given.dilation, given.groups);
  };
  const auto rectified = [&](const at::Tensor& input, size_t layer) {
    const BatchNormSettings given = settings.of(layer, true);
    const UnitLayer own = layerOf(arguments, layer);
    return norm.call(input, own.weight, own.bias, given.runningMean, given.runningVar, true, given.momentum, given.epsilon);
  };
  const auto [left, right] = split.call(arguments[0]);
  const UnitLayer first = layerOf(arguments, 0), second = layerOf(arguments, 1), third = layerOf(arguments, 2);
  const at::Tensor expanded = rectified(run(convolution, right, first.kernel, kPointwise), 0);
  const at::Tensor filtered = run(convolution, expanded, second.kernel, depthwiseSettings(second.kernel));
  const BatchNormSettings given = settings.of(1, false);
  const at::Tensor narrowed = normed.call(filtered, second.weight, second.bias, given.runningMean, given.runningVar,
                                          given.momentum, given.epsilon, third.kernel);
  return join.call(left, rectified(narrowed, 2));
}

/// What the way back needs besides the arguments, in the order in which autograd keeps it.
struct UnitMaps {
  /// Outputs of the three convolutions, and the rectified first one.
  at::Tensor first, expanded, second, third;
  /// Of each normalisation: mean, 1 / sqrt(variance + epsilon), that times the weight, and the bias.
  std::array<NormalisedBatch, kLayers> norms;

  static constexpr size_t kTensors = 4 + 4 * kLayers;
  void addTo(variable_list& list) const {
    for (const auto& map : {first, expanded, second, third}) list.push_back(map);
    for (const auto& norm : norms) {
      for (const auto& vector : {norm.mean, norm.scale, norm.slope, norm.bias}) list.push_back(vector);
    }
  }
  static UnitMaps of(const variable_list& list, size_t at, const c10::intrusive_ptr<SharedBatch>& shared) {
    UnitMaps maps{list[at], list[at + 1], list[at + 2], list[at + 3], {}};
    for (size_t layer = 0; layer < kLayers; ++layer) {
      const size_t own = at + 4 + 4 * layer;
      maps.norms[layer] = {at::Tensor{}, list[own], list[own + 1], list[own + 2], list[own + 3], shared};
    }
    return maps;
  }
};

/// The gradients by all arguments.
variable_list unitGradients(const at::Tensor& given, const variable_list& arguments, const UnitMaps& maps) {
  const at::Tensor& input = arguments[0];
  const at::Tensor gradient = plain(given).contiguous(at::MemoryFormat::ChannelsLast);
  const auto format = at::MemoryFormat::ChannelsLast;
  variable_list results(kArguments);
  const at::Tensor ofInput = at::empty(input.sizes(), input.options().requires_grad(false), format);
  results[0] = ofInput;
  const UnitLayer first = layerOf(arguments, 0), second = layerOf(arguments, 1), third = layerOf(arguments, 2);

  const BatchNormMaps shape = mapsOf(maps.third);
  const auto channels = static_cast<size_t>(shape.channels);
  const NormalisedBatch& last = maps.norms[2];
  const ShuffledNorm norm = shuffledNormOf(last.mean, last.slope, last.bias);
  std::vector<double> sum(channels), product(channels);
  shuffledNormKernels()->sums(shape, gradient.data_ptr(), maps.third.data_ptr(), norm, ofInput.data_ptr(),
                              batchNormScratch(shape.channels).data_ptr<double>(), sum.data(), product.data());
  const std::vector<double> scale = numbersOf(last.scale);
  const BatchNormFactors factors = batchNormFactors(third.weight, scale, last.shared.get(),
                                                    static_cast<double>(shape.batch * shape.inner), sum, product);
  const at::Tensor ofThird = at::empty_like(maps.third);
  shuffledNormKernels()->inputGradient(
      shape, gradient.data_ptr(), maps.third.data_ptr(), norm, vectorOf(factors.factor, at::kFloat).data_ptr<float>(),
      vectorOf(factors.incline, at::kFloat).data_ptr<float>(), vectorOf(factors.offset, at::kFloat).data_ptr<float>(),
      ofThird.data_ptr());
  for (size_t c = 0; c < channels; ++c) product[c] *= scale[c];
  results[8] = vectorOf(product, third.weight.scalar_type());
  results[9] = vectorOf(sum, third.bias.scalar_type());

  const NormalisedBatch& middle = maps.norms[1];
  const variable_list ofMiddle = normPointwiseGradients(ofThird,
                                                        {maps.second, second.weight, second.bias, third.kernel, middle.mean,
                                                         middle.scale, middle.slope, middle.bias, middle.shared},
                                                        /*needsInput=*/true);
  results[5] = ofMiddle[1];
  results[6] = ofMiddle[2];
  results[7] = ofMiddle[3];

  const auto [ofExpanded, ofTaps] = convolutionGradients(ofMiddle[0], maps.expanded, second.kernel,
                                                         depthwiseSettings(second.kernel), true, true);
  results[4] = ofTaps;
  const NormalisedBatch& begin = maps.norms[0];
  const variable_list ofBegin =
      batchNormGradients(ofExpanded,
                         {maps.first, first.weight, maps.expanded, begin.mean, begin.scale, true, begin.shared, begin.slope,
                          begin.bias},
                         {true, true, false});
  results[2] = ofBegin[1];
  results[3] = ofBegin[2];
  results[1] = pointwiseHalfGradients(ofBegin[0], input, first.kernel, ofInput).to(first.kernel.scalar_type());
  return results;
}

/// The gradients as a function of the upstream gradient and all arguments that can be differentiated: by the chain of
/// operators that the unit stands for, which is computed once more.
class ShuffleUnitGradients : public torch::autograd::Function<ShuffleUnitGradients> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& gradient, const at::Tensor& input,
                               const at::Tensor& kernel1, const at::Tensor& weight1, const at::Tensor& bias1,
                               const at::Tensor& kernel2, const at::Tensor& weight2, const at::Tensor& bias2,
                               const at::Tensor& kernel3, const at::Tensor& weight3, const at::Tensor& bias3,
                               const UnitMaps& maps, double epsilon) {
    const variable_list arguments{input, kernel1, weight1, bias1, kernel2, weight2, bias2, kernel3, weight3, bias3};
    variable_list saved{gradient};
    saved.insert(saved.end(), arguments.begin(), arguments.end());
    context->save_for_backward(saved);
    context->saved_data["epsilon"] = epsilon;
    context->set_materialize_grads(false);
    return unitGradients(gradient, arguments, maps);
  }

  static variable_list backward(AutogradContext* context, variable_list above) {
    const bool isRecorded = at::GradMode::is_enabled();
    const at::AutoGradMode recording(true);
    const variable_list all = aliases(context->get_saved_variables());
    const variable_list arguments(all.begin() + 1, all.end());
    const c10::impl::ExcludeDispatchKeyGuard wide(c10::DispatchKey::AutocastCPU);
    const at::Tensor output = composed(arguments, {{}, 0, context->saved_data["epsilon"].toDouble()});
    variable_list inputs, outputs, outer, leaves;
    for (size_t i = 0; i < kArguments; ++i) {
      if (!above[i].defined() || !arguments[i].requires_grad()) continue;
      inputs.push_back(arguments[i]);
      outer.push_back(above[i]);
    }
    for (const auto& tensor : all) {
      if (tensor.requires_grad()) leaves.push_back(tensor);
    }
    variable_list results(all.size() + 2);
    if (inputs.empty() || leaves.empty()) return results;
    outputs = torch::autograd::grad({output}, inputs, {all[0]}, /*retain_graph=*/true, /*create_graph=*/true);
    const variable_list found = torch::autograd::grad(outputs, leaves, outer, /*retain_graph=*/true,
                                                      /*create_graph=*/isRecorded, /*allow_unused=*/true);
    size_t next = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].requires_grad()) results[i] = found[next++];
    }
    return results;
  }
};

class ShuffleUnit : public torch::autograd::Function<ShuffleUnit> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& kernel1,
                            const at::Tensor& weight1, const at::Tensor& bias1, const at::Tensor& kernel2,
                            const at::Tensor& weight2, const at::Tensor& bias2, const at::Tensor& kernel3,
                            const at::Tensor& weight3, const at::Tensor& bias3, const UnitSettings& settings) {
    UnitMaps maps;
    BatchMoments moments;
    maps.first = pointwiseHalfConvolution(input, kernel1, moments);
    maps.norms[0] = normaliseBatch(maps.first, weight1, bias1, {}, settings.of(0, true), &moments);
    maps.expanded = maps.norms[0].output;
    maps.second = depthwiseConvolution(maps.expanded, kernel2, {}, false, depthwiseSettings(kernel2));
    maps.norms[1] = measureBatch(maps.second, weight2, bias2, settings.of(1, false));
    const NormalisedBatch& middle = maps.norms[1];
    maps.third = pointwiseNormConvolution({maps.second, kernel3, middle.mean, middle.slope, middle.bias}, &moments);
    maps.norms[2] = measureBatch(maps.third, weight3, bias3, settings.of(2, true), &moments);
    const NormalisedBatch& last = maps.norms[2];
    const at::Tensor output = at::empty(input.sizes(), input.options().requires_grad(false), at::MemoryFormat::ChannelsLast);
    shuffledNormKernels()->forward(mapsOf(maps.third), input.data_ptr(), maps.third.data_ptr(),
                                   shuffledNormOf(last.mean, last.slope, last.bias), output.data_ptr());
    variable_list saved{input, kernel1, weight1, bias1, kernel2, weight2, bias2, kernel3, weight3, bias3};
    maps.addTo(saved);
    context->save_for_backward(saved);
    context->saved_data["epsilon"] = settings.epsilon;
    context->saved_data["shared"] = SharedBatch::toValue(last.shared);
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients);
};

/// Whether the loops know these tensors: 1x1 convolutions of half the channels, and a depthwise one between them.
bool isSupported(const variable_list& arguments) {
  const at::Tensor &input = arguments[0], &first = arguments[1], &second = arguments[4], &third = arguments[7];
  for (const auto& tensor : arguments) {
    if (!isPlain(tensor)) return false;
  }
  if (batchNormKernels() == nullptr || shuffledNormKernels() == nullptr || input.dim() != 4 || input.numel() == 0 ||
      first.dim() != 4 || first.size(0) != first.size(1) || first.size(0) < shuffledNormKernels()->fewestChannels ||
      third.sizes() != first.sizes() || !isOfFloats(third) ||
      second.sizes() != at::IntArrayRef({first.size(0), 1, 3, 3})) {
    return false;
  }
  const auto isVector = [&](const at::Tensor& vector) { return vector.dim() == 1 && vector.size(0) == first.size(0); };
  for (const size_t layer : {0, 1, 2}) {
    if (!isVector(arguments[2 + 3 * layer]) || !isVector(arguments[3 + 3 * layer])) return false;
  }
  return supportsPointwiseHalf(input, first) && supportsDepthwise(input, second);
}

variable_list ShuffleUnit::backward(AutogradContext* context, variable_list gradients) {
  const variable_list saved = context->get_saved_variables();
  const variable_list arguments(saved.begin(), saved.begin() + kArguments);
  const auto shared = SharedBatch::fromValue(context->saved_data["shared"]);
  const UnitMaps maps = UnitMaps::of(saved, kArguments, shared);
  TORCH_CHECK(isSupported(arguments) && arguments[0].sizes() == gradients[0].sizes() &&
                  arguments[1].size(0) == maps.first.size(1) && arguments[0].scalar_type() == maps.first.scalar_type(),
              "the input or a weight of this unit was given other data since. Run backward() first");
  const bool isRecorded = at::GradMode::is_enabled();
  TORCH_CHECK(!isRecorded || !shared,
              "batch normalisation over several ranks cannot be differentiated twice. Run the whole batch on one rank");
  variable_list results =
      isRecorded ? ShuffleUnitGradients::apply(gradients[0], arguments[0], arguments[1], arguments[2], arguments[3],
                                               arguments[4], arguments[5], arguments[6], arguments[7], arguments[8],
                                               arguments[9], maps, context->saved_data["epsilon"].toDouble())
                 : unitGradients(gradients[0], arguments, maps);
  for (size_t i = 0; i < kArguments; ++i) {
    if (!context->needs_input_grad(i)) results[i] = at::Tensor();
  }
  results.resize(kArguments + 1);
  return results;
}

at::Tensor shuffleUnit(const at::Tensor& input, at::TensorList kernels, at::TensorList weights, at::TensorList biases,
                       at::TensorList running, double momentum, double epsilon) {
  TORCH_CHECK(kernels.size() == kLayers && weights.size() == kLayers && biases.size() == kLayers &&
                  (running.empty() || running.size() == 2 * kLayers),
              "shuffle_unit: expected three kernels, weights and biases, and six running statistics or none, got ",
              kernels.size(), ", ", weights.size(), ", ", biases.size(), " and ", running.size());
  variable_list arguments{input};
  for (size_t layer = 0; layer < kLayers; ++layer) {
    for (const auto& tensor : {kernels[layer], weights[layer], biases[layer]}) arguments.push_back(tensor);
  }
  const UnitSettings settings{running.vec(), momentum, epsilon};
  const bool isNarrowed = input.scalar_type() != at::kBFloat16 &&
                          !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutocastCPU);
  bool arePlain = true;
  for (const auto& tensor : running) arePlain = arePlain && isPlain(tensor);
  if (isNarrowed || !arePlain || !isSupported(arguments)) return composed(arguments, settings);
  for (size_t layer = 0; layer < kLayers; ++layer) {
    // Each normalises half of the channels.
    checkBatchNorm(input.narrow(1, 0, input.size(1) / 2), {}, weights[layer], biases[layer], settings.of(layer, true));
  }
  return ShuffleUnit::apply(input, arguments[1], arguments[2], arguments[3], arguments[4], arguments[5], arguments[6],
                            arguments[7], arguments[8], arguments[9], settings);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cohort, library) {
  library.def(
      "shuffle_unit(Tensor input, Tensor[] kernels, Tensor[] weights, Tensor[] biases, Tensor[] running, float momentum, float "
      "eps) -> Tensor",
      shuffleUnit);
}

}  // namespace cohort
