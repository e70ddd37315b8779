// Batch normalisation fused with ReLU, and with the addition of a residual and ReLU, as operators of LibTorch's dispatcher
// with a gradient that can be differentiated again. Forward reads the input twice in training, for statistics and for the
// result; backward reads gradient, output and input twice. Saved are input, output, and two numbers a channel.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>
#include <vector>

#include "batchNormKernels.h"

namespace cohort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using OptionalTensor = c10::optional<at::Tensor>;

/// What is no tensor to differentiate by.
struct Settings {
  OptionalTensor runningMean;
  OptionalTensor runningVar;
  bool training;
  double momentum;
  double epsilon;
};

bool isGiven(const OptionalTensor& tensor) { return tensor.has_value() && tensor->defined(); }

/// The type that parameters and statistics have beside such an input.
at::ScalarType wideType(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

/// Whether the elements lie in this process's memory as they are, in a type that the loops know.
bool isPlain(const at::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return tensor.device().is_cpu() && tensor.layout() == at::kStrided && !tensor.is_nested() && tensor.has_storage() &&
         !tensor.is_neg() && !tensor._is_zerotensor() &&
         (type == at::kFloat || type == at::kDouble || type == at::kBFloat16);
}
bool isPlain(const OptionalTensor& tensor) { return !isGiven(tensor) || isPlain(*tensor); }

/// The order of elements in which maps are worked on.
at::MemoryFormat formatOf(const at::Tensor& input) { return input.suggest_memory_format(); }

BatchNormMaps mapsOf(const at::Tensor& input) {
  BatchNormMaps maps;
  maps.type = input.scalar_type() == at::kDouble  ? ElementType::kFloat64
              : input.scalar_type() == at::kFloat ? ElementType::kFloat32
                                                  : ElementType::kBFloat16;
  maps.batch = input.size(0);
  maps.channels = input.size(1);
  maps.inner = input.numel() / (maps.batch * maps.channels);
  maps.inRows = maps.inner == 1 || (formatOf(input) != at::MemoryFormat::Contiguous && maps.channels > 1);
  maps.threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  return maps;
}

template <typename T>
void copyNumbers(const at::Tensor& from, std::vector<double>& to) {
  const T* const data = from.data_ptr<T>();
  const int64_t stride = from.stride(0);
  for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<double>(data[static_cast<int64_t>(i) * stride]);
}

/// The elements of a vector of parameters or statistics.
std::vector<double> numbersOf(const at::Tensor& vector) {
  std::vector<double> numbers(static_cast<size_t>(vector.numel()));
  switch (vector.scalar_type()) {
    case at::kDouble:
      copyNumbers<double>(vector, numbers);
      break;
    case at::kFloat:
      copyNumbers<float>(vector, numbers);
      break;
    default:
      copyNumbers<at::BFloat16>(vector, numbers);
  }
  return numbers;
}

/// A vector in the given type.
at::Tensor vectorOf(const std::vector<double>& numbers, at::ScalarType type) {
  at::Tensor vector = at::empty({static_cast<int64_t>(numbers.size())}, at::TensorOptions().dtype(type));
  if (type == at::kDouble) {
    std::copy(numbers.begin(), numbers.end(), vector.data_ptr<double>());
  } else if (type == at::kFloat) {
    float* const data = vector.data_ptr<float>();
    for (size_t i = 0; i < numbers.size(); ++i) data[i] = static_cast<float>(numbers[i]);
  } else {
    at::BFloat16* const data = vector.data_ptr<at::BFloat16>();
    for (size_t i = 0; i < numbers.size(); ++i) data[i] = static_cast<float>(numbers[i]);
  }
  return vector;
}

template <typename T>
void blend(const at::Tensor& running, const std::vector<double>& newest, double momentum) {
  T* const data = running.data_ptr<T>();
  const int64_t stride = running.stride(0);
  for (size_t i = 0; i < newest.size(); ++i) {
    T& value = data[static_cast<int64_t>(i) * stride];
    value = static_cast<T>(momentum * newest[i] + (1 - momentum) * static_cast<double>(value));
  }
}

/// Moves running statistics towards the newest ones. As ATen does, without telling autograd: nothing is saved of them.
void updateRunning(const OptionalTensor& running, const std::vector<double>& newest, double momentum) {
  if (!isGiven(running)) return;
  switch (running->scalar_type()) {
    case at::kDouble:
      return blend<double>(*running, newest, momentum);
    case at::kFloat:
      return blend<float>(*running, newest, momentum);
    default:
      return blend<at::BFloat16>(*running, newest, momentum);
  }
}

struct Statistics {
  std::vector<double> mean;
  /// 1 / sqrt(variance + epsilon).
  std::vector<double> scale;
};

at::Tensor newScratch(const BatchNormMaps& maps) {
  return at::empty({2 * BatchNormKernels::kMostSegments * maps.channels}, at::TensorOptions().dtype(at::kDouble));
}

/// Of the batch in training, which running statistics then follow; the running ones in evaluation.
Statistics statisticsOf(const BatchNormKernels& kernels, const BatchNormMaps& maps, const at::Tensor& input,
                        const Settings& settings) {
  const auto channels = static_cast<size_t>(maps.channels);
  Statistics statistics;
  std::vector<double> variance;
  if (settings.training) {
    const auto count = static_cast<double>(maps.batch * maps.inner);
    statistics.mean.resize(channels);
    variance.resize(channels);
    const at::Tensor scratch = newScratch(maps);
    kernels.statistics(maps, input.data_ptr(), scratch.data_ptr<double>(), statistics.mean.data(), variance.data());
    std::vector<double> unbiased(channels);
    for (size_t c = 0; c < channels; ++c) {
      unbiased[c] = variance[c] / (count - 1);
      variance[c] /= count;
    }
    updateRunning(settings.runningMean, statistics.mean, settings.momentum);
    updateRunning(settings.runningVar, unbiased, settings.momentum);
  } else {
    statistics.mean = numbersOf(*settings.runningMean);
    variance = numbersOf(*settings.runningVar);
  }
  statistics.scale.resize(channels);
  for (size_t c = 0; c < channels; ++c) statistics.scale[c] = 1 / std::sqrt(variance[c] + settings.epsilon);
  return statistics;
}

/// What is the same for every channel: [C] seen as [1, C, 1, ...].
at::Tensor alongChannels(const at::Tensor& vector, const at::Tensor& maps) {
  std::vector<int64_t> shape(static_cast<size_t>(maps.dim()), 1);
  shape[1] = -1;
  return vector.view(shape);
}

/// The gradients put together from ATen's operators, which autograd can differentiate once more.
variable_list differentiableGradients(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                      const at::Tensor& output, const at::Tensor& mean, const at::Tensor& scale,
                                      bool training) {
  const auto wide = wideType(input.scalar_type());
  const at::Tensor masked = gradient.masked_fill(output.detach().le(0), 0);
  const at::Tensor wideMasked = masked.to(wide);
  const at::Tensor wideInput = input.to(wide);
  const at::Tensor wideWeight = weight.to(wide);
  at::Tensor inputGradient, weightGradient, biasGradient;
  if (training) {
    std::tie(inputGradient, weightGradient, biasGradient) =
        at::native_batch_norm_backward(wideMasked, wideInput, wideWeight, /*running_mean=*/{}, /*running_var=*/{}, mean,
                                       scale, /*train=*/true, /*eps=*/0, {true, true, true});
  } else {
    std::vector<int64_t> others{0};
    for (int64_t dimension = 2; dimension < input.dim(); ++dimension) others.push_back(dimension);
    const at::Tensor normalised = (wideInput - alongChannels(mean, input)) * alongChannels(scale, input);
    inputGradient = wideMasked * alongChannels(wideWeight * scale, input);
    weightGradient = (wideMasked * normalised).sum(others);
    biasGradient = wideMasked.sum(others);
  }
  return {inputGradient.to(input.scalar_type()), weightGradient.to(weight.scalar_type()),
          biasGradient.to(weight.scalar_type()), masked};
}

/// relu(batch_norm(input) + residual), where the residual may be left out.
class BatchNormRelu : public torch::autograd::Function<BatchNormRelu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const OptionalTensor& residual, const Settings& settings) {
    const BatchNormKernels& kernels = *batchNormKernels();
    const BatchNormMaps maps = mapsOf(input);
    const auto wide = wideType(input.scalar_type());
    const at::Tensor dense = input.contiguous(formatOf(input));
    const Statistics statistics = statisticsOf(kernels, maps, dense, settings);
    const at::Tensor mean = vectorOf(statistics.mean, wide);
    std::vector<double> scale = numbersOf(weight);
    for (size_t c = 0; c < scale.size(); ++c) scale[c] *= statistics.scale[c];
    const at::Tensor wideScale = vectorOf(scale, wide);
    const at::Tensor wideBias = bias.to(wide).contiguous();
    at::Tensor denseResidual;
    if (residual.has_value()) denseResidual = residual->contiguous(formatOf(input));
    at::Tensor output = at::empty_like(dense);
    kernels.forward(maps, dense.data_ptr(), denseResidual.defined() ? denseResidual.data_ptr() : nullptr, mean.data_ptr(),
                    wideScale.data_ptr(), wideBias.data_ptr(), output.data_ptr());
    context->save_for_backward({input, weight, output, mean, vectorOf(statistics.scale, wide)});
    context->saved_data["training"] = settings.training;
    context->saved_data["residual"] = residual.has_value();
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &output = saved[2], &mean = saved[3], &scale = saved[4];
    const bool training = context->saved_data["training"].toBool();
    const bool hasResidual = context->saved_data["residual"].toBool();
    // setData() gives a tensor other memory without a trace.
    TORCH_CHECK(input.sizes() == output.sizes() && input.scalar_type() == output.scalar_type() && isPlain(input) &&
                    weight.dim() == 1 && weight.size(0) == output.size(1) && isPlain(weight),
                "the input or weight of this batch normalisation was given other data since: ", input.sizes(), " and ",
                weight.sizes(), ". Run backward() first");
    variable_list results(5);
    if (at::GradMode::is_enabled()) {
      const auto all = differentiableGradients(gradients[0], input, weight, output, mean, scale, training);
      std::copy(all.begin(), all.begin() + (hasResidual ? 4 : 3), results.begin());
      return results;
    }
    const bool needsInput = context->needs_input_grad(0);
    const bool needsParameters = context->needs_input_grad(1) || context->needs_input_grad(2);
    const bool needsResidual = hasResidual && context->needs_input_grad(3);

    const BatchNormKernels& kernels = *batchNormKernels();
    const BatchNormMaps maps = mapsOf(output);
    const auto wide = wideType(input.scalar_type());
    const auto format = formatOf(output);
    const at::Tensor dense = input.contiguous(format);
    const at::Tensor gradient = plain(gradients[0]).contiguous(format);
    if (needsResidual) results[3] = at::empty_like(output);
    void* const masked = needsResidual ? results[3].data_ptr() : nullptr;

    const auto channels = static_cast<size_t>(maps.channels);
    std::vector<double> sum(channels), product(channels);
    if (needsParameters || (needsInput && training)) {
      const at::Tensor scratch = newScratch(maps);
      kernels.sums(maps, gradient.data_ptr(), output.data_ptr(), dense.data_ptr(), mean.data_ptr(), masked,
                   scratch.data_ptr<double>(), sum.data(), product.data());
    } else if (needsResidual) {
      kernels.mask(maps, gradient.data_ptr(), output.data_ptr(), masked);
    }
    const std::vector<double> scales = numbersOf(scale);
    if (needsInput) {
      // d input = weight scale (masked - mean(masked) - (input - mean) scale^2 mean(masked (input - mean)))
      const auto count = static_cast<double>(maps.batch * maps.inner);
      std::vector<double> factor = numbersOf(weight), slope(channels), offset(channels);
      for (size_t c = 0; c < channels; ++c) {
        factor[c] *= scales[c];
        slope[c] = -factor[c] * scales[c] * scales[c] * product[c] / count;
        offset[c] = -factor[c] * sum[c] / count;
      }
      results[0] = at::empty_like(output);
      kernels.inputGradient(maps, masked == nullptr ? gradient.data_ptr() : masked,
                            masked == nullptr ? output.data_ptr() : nullptr, training ? dense.data_ptr() : nullptr,
                            mean.data_ptr(), vectorOf(factor, wide).data_ptr(), vectorOf(slope, wide).data_ptr(),
                            vectorOf(offset, wide).data_ptr(), results[0].data_ptr());
    }
    if (needsParameters) {
      for (size_t c = 0; c < channels; ++c) product[c] *= scales[c];
      results[1] = vectorOf(product, weight.scalar_type());
      results[2] = vectorOf(sum, weight.scalar_type());
    }
    return results;
  }

 private:
  /// The gradient with its elements in memory: callers may hand in ones that are known to be zero, or negated when read.
  static at::Tensor plain(const at::Tensor& gradient) {
    return gradient._is_zerotensor() || gradient.is_neg() ? gradient.clone() : gradient;
  }
};

void checkVector(const char* name, const OptionalTensor& vector, const at::Tensor& input) {
  if (!isGiven(vector)) return;
  TORCH_CHECK(vector->dim() == 1 && vector->size(0) == input.size(1), "argument '", name, "' must have one value a channel, [",
              input.size(1), "] for an input of ", input.sizes(), ", got ", vector->sizes());
  const auto type = vector->scalar_type();
  TORCH_CHECK(type == wideType(input.scalar_type()) || type == input.scalar_type(), "argument '", name, "' must be ",
              wideType(input.scalar_type()), " beside an input of ", input.scalar_type(), ", got ", type);
}

/// Refuses what ATen would refuse, and what it would let pass and turn into NaN.
void check(const at::Tensor& input, const OptionalTensor& residual, const OptionalTensor& weight, const OptionalTensor& bias,
           const Settings& settings) {
  TORCH_CHECK(input.dim() >= 2, "argument 'input' must have two or more dimensions, [B, C, ...], got ", input.sizes());
  if (residual.has_value()) {
    TORCH_CHECK(residual->sizes() == input.sizes(), "argument 'residual' must have the shape of the input, ", input.sizes(),
                ", got ", residual->sizes());
  }
  const int64_t channels = input.size(1);
  TORCH_CHECK(!settings.training || channels == 0 || input.numel() / channels > 1,
              "training needs more than one value a channel, got an input of ", input.sizes(),
              ". Use a larger batch, or the running statistics (training false)");
  TORCH_CHECK(settings.training || (isGiven(settings.runningMean) && isGiven(settings.runningVar)),
              "without training, arguments 'running_mean' and 'running_var' must be given");
  checkVector("weight", weight, input);
  checkVector("bias", bias, input);
  TORCH_CHECK(!isGiven(weight) || !isGiven(bias) || weight->scalar_type() == bias->scalar_type(),
              "arguments 'weight' and 'bias' must have one dtype, got ", weight->scalar_type(), " and ",
              bias->scalar_type());
  checkVector("running_mean", settings.runningMean, input);
  checkVector("running_var", settings.runningVar, input);
}

at::Tensor run(const at::Tensor& input, const OptionalTensor& residual, const OptionalTensor& weight,
               const OptionalTensor& bias, const Settings& settings) {
  const bool arePlain = isPlain(input) && isPlain(residual) && isPlain(weight) && isPlain(bias) &&
                        isPlain(settings.runningMean) && isPlain(settings.runningVar);
  if (arePlain) check(input, residual, weight, bias, settings);
  if (!arePlain || input.numel() == 0 || batchNormKernels() == nullptr) {
    at::Tensor output = at::batch_norm(input, weight, bias, settings.runningMean, settings.runningVar, settings.training,
                                       settings.momentum, settings.epsilon, /*cudnn_enabled=*/true);
    if (residual.has_value()) output.add_(*residual);
    return output.relu_();
  }
  const auto options = at::TensorOptions().dtype(wideType(input.scalar_type()));
  const auto given = isGiven(weight) ? *weight : at::ones({input.size(1)}, isGiven(bias) ? bias->options() : options);
  const auto shift = isGiven(bias) ? *bias : at::zeros({input.size(1)}, given.options());
  OptionalTensor shortcut;
  if (residual.has_value()) shortcut = residual->to(input.scalar_type());
  return BatchNormRelu::apply(input, given, shift, shortcut, settings);
}

at::Tensor batchNormRelu(const at::Tensor& input, const OptionalTensor& weight, const OptionalTensor& bias,
                         const OptionalTensor& runningMean, const OptionalTensor& runningVar, bool training, double momentum,
                         double epsilon) {
  return run(input, {}, weight, bias, {runningMean, runningVar, training, momentum, epsilon});
}

at::Tensor batchNormAddRelu(const at::Tensor& input, const at::Tensor& residual, const OptionalTensor& weight,
                            const OptionalTensor& bias, const OptionalTensor& runningMean, const OptionalTensor& runningVar,
                            bool training, double momentum, double epsilon) {
  return run(input, residual, weight, bias, {runningMean, runningVar, training, momentum, epsilon});
}

}  // namespace

TORCH_LIBRARY(cohort, library) {
  library.def(
      "batch_norm_relu(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, "
      "float momentum, float eps) -> Tensor",
      batchNormRelu);
  library.def(
      "batch_norm_add_relu(Tensor input, Tensor residual, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? "
      "running_var, bool training, float momentum, float eps) -> Tensor",
      batchNormAddRelu);
}

}  // namespace cohort
