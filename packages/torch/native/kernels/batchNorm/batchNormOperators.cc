// Batch normalisation, alone, with ReLU, and with the addition of a residual and ReLU, as operators of LibTorch's dispatcher
// with a gradient that can be differentiated again. Saved are input, output where ReLU needs it, and two numbers per channel.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/batchNorm/batchNorm.h"

namespace cohort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// setData() gives a tensor other memory without a trace.
void checkRecord(const BatchNormRecord& record, const at::Tensor& gradient) {
  const auto& [input, weight, output, mean, scale, training, shared, slope, bias] = record;
  TORCH_CHECK(input.sizes() == gradient.sizes() && isPlain(input) && weight.dim() == 1 &&
                  weight.size(0) == gradient.size(1) && isPlain(weight),
              "the input or weight of this batch normalisation was given other data since: ", input.sizes(), " and ",
              weight.sizes(), ". Run backward() first");
}

/// relu(batch_norm(input) + residual), where residual and ReLU may be left out.
class BatchNorm : public torch::autograd::Function<BatchNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const OptionalTensor& residual, const BatchNormSettings& settings) {
    const NormalisedBatch batch = normaliseBatch(input, weight, bias, residual, settings);
    const bool masksByInput = settings.rectifies && !residual.has_value();
    context->save_for_backward(
        {input, weight, settings.rectifies ? batch.output : at::Tensor{}, batch.mean, batch.scale,
         masksByInput ? batch.slope : at::Tensor{}, masksByInput ? batch.bias : at::Tensor{}});
    context->saved_data["training"] = settings.training;
    context->saved_data["shared"] = SharedBatch::toValue(batch.shared);
    context->saved_data["residual"] = residual.has_value();
    context->saved_data["type"] = batch.output.scalar_type();
    return batch.output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const BatchNormRecord record{saved[0], saved[1], saved[2], saved[3], saved[4],
                                 context->saved_data["training"].toBool(),
                                 SharedBatch::fromValue(context->saved_data["shared"]), saved[5], saved[6]};
    checkRecord(record, gradients[0]);
    TORCH_CHECK(record.input.scalar_type() == context->saved_data["type"].toScalarType(),
                "the input of this batch normalisation was given data of another dtype since. Run backward() first");
    const bool hasResidual = context->saved_data["residual"].toBool();
    const BatchNormNeeds needs{context->needs_input_grad(0),
                               context->needs_input_grad(1) || context->needs_input_grad(2),
                               hasResidual && context->needs_input_grad(3)};
    variable_list results = recordedBatchNormGradients(gradients[0], record, needs);
    if (!hasResidual) results[3] = at::Tensor();
    results.emplace_back();
    return results;
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

}  // namespace

at::Tensor recordedBatchNorm(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                             const OptionalTensor& residual, const BatchNormSettings& settings) {
  return BatchNorm::apply(input, weight, bias, residual, settings);
}

void checkBatchNorm(const at::Tensor& input, const OptionalTensor& residual, const OptionalTensor& weight, const OptionalTensor& bias,
           const BatchNormSettings& settings) {
  TORCH_CHECK(input.dim() >= 2, "argument 'input' must have two or more dimensions, [B, C, ...], got ", input.sizes());
  if (residual.has_value()) {
    TORCH_CHECK(residual->sizes() == input.sizes(), "argument 'residual' must have the shape of the input, ", input.sizes(),
                ", got ", residual->sizes());
  }
  const int64_t channels = input.size(1);
  TORCH_CHECK(!settings.training || channels == 0 || input.numel() / channels > 1 || SharedBatch::current(),
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

namespace {

at::Tensor run(const at::Tensor& input, const OptionalTensor& residual, const OptionalTensor& weight,
               const OptionalTensor& bias, const BatchNormSettings& settings) {
  const bool arePlain = isPlain(input) && isPlain(residual) && isPlain(weight) && isPlain(bias) &&
                        isPlain(settings.runningMean) && isPlain(settings.runningVar);
  if (arePlain) checkBatchNorm(input, residual, weight, bias, settings);
  if (!arePlain || input.numel() == 0 || batchNormKernels() == nullptr) {
    TORCH_CHECK(!settings.training || !SharedBatch::current(),
                "batch normalisation over several ranks works on the CPU, with at least one image on every rank, got an input of ",
                input.sizes(), " on ", input.device());
    at::Tensor output = at::batch_norm(input, weight, bias, settings.runningMean, settings.runningVar, settings.training,
                                       settings.momentum, settings.epsilon, /*cudnn_enabled=*/true);
    if (residual.has_value()) output.add_(*residual);
    return settings.rectifies ? output.relu_() : output;
  }
  const auto options = at::TensorOptions().dtype(wideType(input.scalar_type()));
  const auto given = isGiven(weight) ? *weight : at::ones({input.size(1)}, isGiven(bias) ? bias->options() : options);
  const auto shift = isGiven(bias) ? *bias : at::zeros({input.size(1)}, given.options());
  OptionalTensor shortcut;
  if (residual.has_value()) shortcut = residual->to(input.scalar_type());
  return recordedBatchNorm(input, given, shift, shortcut, settings);
}

at::Tensor batchNormAlone(const at::Tensor& input, const OptionalTensor& weight, const OptionalTensor& bias,
                          const OptionalTensor& runningMean, const OptionalTensor& runningVar, bool training,
                          double momentum, double epsilon) {
  return run(input, {}, weight, bias, {runningMean, runningVar, training, momentum, epsilon, /*rectifies=*/false});
}

at::Tensor batchNormRelu(const at::Tensor& input, const OptionalTensor& weight, const OptionalTensor& bias,
                         const OptionalTensor& runningMean, const OptionalTensor& runningVar, bool training, double momentum,
                         double epsilon) {
  return run(input, {}, weight, bias, {runningMean, runningVar, training, momentum, epsilon, /*rectifies=*/true});
}

at::Tensor batchNormAddRelu(const at::Tensor& input, const at::Tensor& residual, const OptionalTensor& weight,
                            const OptionalTensor& bias, const OptionalTensor& runningMean, const OptionalTensor& runningVar,
                            bool training, double momentum, double epsilon) {
  return run(input, residual, weight, bias, {runningMean, runningVar, training, momentum, epsilon, /*rectifies=*/true});
}

}  // namespace

TORCH_LIBRARY(cohort, library) {
  library.def(
      "batch_norm_alone(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, "
      "float momentum, float eps) -> Tensor",
      batchNormAlone);
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
