// Batch normalisation and a 1x1 convolution in one operator, for training: (x - mean) slope + bias times W is x times other
// weights plus a constant, so the normalised map is never written, and the sums over the gradient of normalisation follow from
// the weight gradient.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>

#include "kernels/aliases.h"
#include "kernels/convolution/normPointwise.h"
#include "kernels/convolution/pointwise/pointwise.h"

namespace cohort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

}  // namespace

variable_list normPointwiseGradients(const at::Tensor& gradient, const NormPointwiseRecord& record, bool needsInput) {
  const PointwiseNormMaps maps{record.input, record.kernel, record.mean, record.slope, record.wideBias};
  PointwiseNormSums sums = pointwiseNormSums(plain(gradient), maps);
  const std::vector<double> scale = numbersOf(record.scale);
  variable_list results(4);
  if (needsInput) {
    const auto count = static_cast<double>(record.input.numel() / record.input.size(1));
    const BatchNormFactors factors =
        batchNormFactors(record.weight, scale, record.shared.get(), count, sums.sum, sums.product);
    results[0] = pointwiseNormInputGradient(plain(gradient), maps, factors.incline, factors.offset);
  }
  for (size_t c = 0; c < scale.size(); ++c) sums.product[c] *= scale[c];
  results[1] = vectorOf(sums.product, record.weight.scalar_type());
  results[2] = vectorOf(sums.sum, record.weight.scalar_type());
  results[3] = sums.weightGradient.to(record.kernel.scalar_type());
  return results;
}

namespace {

/// The same as a function of gradient, input, weight, bias and kernel that can be differentiated: by the gradients of the two
/// operators that it stands for, which are computed once more.
class NormPointwiseGradients : public torch::autograd::Function<NormPointwiseGradients> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& gradient, const at::Tensor& input,
                               const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& kernel,
                               const NormPointwiseRecord& record, double epsilon, bool needsInput) {
    variable_list saved{gradient};
    for (const auto& tensor : record.tensors()) saved.push_back(tensor);
    context->save_for_backward(saved);
    context->saved_data["epsilon"] = epsilon;
    context->set_materialize_grads(false);
    variable_list results = normPointwiseGradients(gradient, record, needsInput);
    // Autograd wants a tensor for every output; an empty one is thrown away by the caller.
    if (!needsInput) results[0] = at::empty({0});
    return results;
  }

  static variable_list backward(AutogradContext* context, variable_list above) {
    const variable_list saved = context->get_saved_variables();
    const bool isRecorded = at::GradMode::is_enabled();
    const at::AutoGradMode recording(true);
    const NormPointwiseRecord record = NormPointwiseRecord::of(aliases(saved), 1, {});
    const std::array<at::Tensor, 5> all{aliases({saved[0]})[0], record.input, record.weight, record.bias, record.kernel};
    const at::Tensor between = recordedBatchNorm(record.input, record.weight, record.bias, {},
                                                 {{}, {}, true, 0, context->saved_data["epsilon"].toDouble(), false});
    const variable_list inner = recordedConvolutionGradients(all[0], between, record.kernel, kPointwise, true, true);
    const BatchNormRecord norm{record.input, record.weight, at::Tensor{}, record.mean, record.scale, true, {}, {}, {}};
    const variable_list outer = recordedBatchNormGradients(inner[0], norm, {true, true, false});
    const std::array<at::Tensor, 4> first{outer[0], outer[1], outer[2], inner[1]};
    variable_list outputs, given, inputs;
    for (size_t i = 0; i < first.size(); ++i) {
      if (!above[i].defined() || above[i].numel() == 0 || !first[i].requires_grad()) continue;
      outputs.push_back(first[i]);
      given.push_back(above[i]);
    }
    for (const auto& tensor : all) {
      if (tensor.requires_grad()) inputs.push_back(tensor);
    }
    variable_list results(8);
    if (outputs.empty() || inputs.empty()) return results;
    const variable_list found =
        torch::autograd::grad(outputs, inputs, given, /*retain_graph=*/true, /*create_graph=*/isRecorded, /*allow_unused=*/true);
    size_t next = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].requires_grad()) results[i] = found[next++];
    }
    return results;
  }
};

class NormPointwise : public torch::autograd::Function<NormPointwise> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& kernel, const BatchNormSettings& settings) {
    const NormalisedBatch batch = measureBatch(input, weight, bias, settings);
    const NormPointwiseRecord record{input, weight, bias, kernel, batch.mean, batch.scale, batch.slope, batch.bias, {}};
    context->save_for_backward(record.tensors());
    context->saved_data["epsilon"] = settings.epsilon;
    context->saved_data["shared"] = SharedBatch::toValue(batch.shared);
    return pointwiseNormConvolution({input, kernel, batch.mean, batch.slope, batch.bias}, nullptr);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto shared = SharedBatch::fromValue(context->saved_data["shared"]);
    const NormPointwiseRecord record = NormPointwiseRecord::of(context->get_saved_variables(), 0, shared);
    TORCH_CHECK(isPlain(record.input) && isPlain(record.weight) && record.weight.sizes() == record.mean.sizes() &&
                    record.input.dim() == 4 && record.input.size(1) == record.weight.size(0) &&
                    supportsPointwiseNorm(record.input, record.kernel),
                "the input or weight of this batch normalisation was given other data since: ", record.input.sizes(), " and ",
                record.weight.sizes(), ". Run backward() first");
    const bool isRecorded = at::GradMode::is_enabled();
    TORCH_CHECK(!isRecorded || !shared,
                "batch normalisation over several ranks cannot be differentiated twice. Run the whole batch on one rank");
    const bool needsInput = context->needs_input_grad(0);
    variable_list results =
        isRecorded ? NormPointwiseGradients::apply(gradients[0], record.input, record.weight, record.bias, record.kernel, record,
                                                   context->saved_data["epsilon"].toDouble(), needsInput)
                   : normPointwiseGradients(gradients[0], record, needsInput);
    for (size_t i = 0; i < 4; ++i) {
      if (!context->needs_input_grad(i)) results[i] = at::Tensor();
    }
    results.resize(5);
    return results;
  }
};

at::Tensor normPointwise(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                         const OptionalTensor& runningMean, const OptionalTensor& runningVar, double momentum, double epsilon,
                         const at::Tensor& kernel) {
  const BatchNormSettings settings{runningMean, runningVar, /*training=*/true, momentum, epsilon, /*rectifies=*/false};
  const bool arePlain = isPlain(input) && isPlain(weight) && isPlain(bias) && isPlain(kernel) && isPlain(runningMean) &&
                        isPlain(runningVar);
  // Autocast would narrow the map between the two: then they are run one after the other.
  const bool isNarrowed = input.scalar_type() != at::kBFloat16 &&
                          !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutocastCPU);
  if (arePlain && !isNarrowed && batchNormKernels() != nullptr && input.numel() != 0 && supportsPointwiseNorm(input, kernel)) {
    checkBatchNorm(input, {}, weight, bias, settings);
    return NormPointwise::apply(input, weight, bias, kernel, settings);
  }
  static const auto norm = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("cohort::batch_norm_alone", "")
                               .typed<at::Tensor(const at::Tensor&, const OptionalTensor&, const OptionalTensor&,
                                                 const OptionalTensor&, const OptionalTensor&, bool, double, double)>();
  static const auto convolve = c10::Dispatcher::singleton()
                                   .findSchemaOrThrow("cohort::convolution2d", "")
                                   .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&,
                                                     at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t)>();
  return convolve.call(norm.call(input, weight, bias, runningMean, runningVar, true, momentum, epsilon), kernel, {},
                       kPointwise.stride, kPointwise.padding, kPointwise.dilation, kPointwise.groups);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cohort, library) {
  library.def(
      "norm_pointwise(Tensor input, Tensor weight, Tensor bias, Tensor? running_mean, Tensor? running_var, float momentum, "
      "float eps, Tensor kernel) -> Tensor",
      normPointwise);
}

}  // namespace cohort
