// The gradient of batch normalisation as a function that can be differentiated itself, for the meta step: ATen puts its own
// second derivative together from some thirty passes over the maps, these loops take two.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <vector>

#include "kernels/aliases.h"
#include "kernels/batchNorm/batchNorm.h"

namespace cohort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What is the same for every channel: [C] seen as [1, C, 1, ...].
at::Tensor alongChannels(const at::Tensor& vector, const at::Tensor& maps) {
  std::vector<int64_t> shape(static_cast<size_t>(maps.dim()), 1);
  shape[1] = -1;
  return vector.view(shape);
}

/// The gradients by input, weight, bias and residual, put together from sums and products, for derivatives of any order: that of
/// ATen's own second derivative is refused by LibTorch 2.15.
variable_list composedGradients(const at::Tensor& gradient, const BatchNormRecord& record) {
  const auto& [input, weight, output, mean, scale, training, shared, slope, bias] = record;
  const auto wide = wideType(input.scalar_type());
  const at::Tensor masked = output.defined() ? gradient.masked_fill(output.le(0), 0) : gradient;
  const at::Tensor wideMasked = masked.to(wide), wideInput = input.to(wide);
  std::vector<int64_t> others{0};
  for (int64_t dimension = 2; dimension < input.dim(); ++dimension) others.push_back(dimension);
  const auto meanOf = [&](const at::Tensor& maps) { return maps.mean(others, /*keepdim=*/true); };
  at::Tensor centred = wideInput - alongChannels(mean, input), spread = alongChannels(scale, input);
  if (training) {
    centred = wideInput - meanOf(wideInput);
    const at::Tensor variance = meanOf(centred * centred);
    // What the forward pass added to the variance follows from the scale that it kept.
    const at::Tensor epsilon = (spread.pow(-2) - variance).detach();
    spread = (variance + epsilon).rsqrt();
  }
  const at::Tensor normalised = centred * spread, product = wideMasked * normalised;
  const at::Tensor without = training ? wideMasked - meanOf(wideMasked) - normalised * meanOf(product) : wideMasked;
  const at::Tensor inputGradient = alongChannels(weight.to(wide), input) * spread * without;
  return {inputGradient.to(input.scalar_type()), product.sum(others).to(weight.scalar_type()),
          wideMasked.sum(others).to(weight.scalar_type()), masked};
}

/// What comes back for each of the four gradients is how a loss depends on it; undefined where it does not.
struct Above {
  at::Tensor input, weight, bias, residual;
};

/// Derivatives by gradient, input and weight through ATen's operators, recorded for third derivatives. The gradient may itself
/// depend on the input, which is not this function's to differentiate.
variable_list composedSecondGradients(const at::Tensor& gradient, const BatchNormRecord& record, const Above& above) {
  const variable_list all = aliases({gradient, record.input, record.weight});
  BatchNormRecord own = record;
  own.input = all[1];
  own.weight = all[2];
  const variable_list first = composedGradients(all[0], own);
  const variable_list given{above.input, above.weight, above.bias, above.residual};
  variable_list outputs, outer, inputs;
  for (size_t i = 0; i < first.size(); ++i) {
    if (!given[i].defined() || !first[i].requires_grad()) continue;
    outputs.push_back(first[i]);
    outer.push_back(given[i]);
  }
  for (const auto& tensor : all) {
    if (tensor.requires_grad()) inputs.push_back(tensor);
  }
  variable_list results(3);
  if (outputs.empty() || inputs.empty()) return results;
  const variable_list found = torch::autograd::grad(outputs, inputs, outer, /*retain_graph=*/true, /*create_graph=*/true,
                                                    /*allow_unused=*/true);
  size_t next = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].requires_grad()) results[i] = found[next++];
  }
  return results;
}

/// The same by our own loops. With x' = (input - mean) scale, G what is above the input's gradient, g the masked gradient
/// and <> the mean of a channel: C = <G x'>, A = <g>, B = <g x'>, Q = <G g> - <G> A - C B. Without training, mean and scale
/// are constants, and C, A, B, Q and <G> are left out but for the weight's Q = <G g>.
variable_list secondGradients(const at::Tensor& givenGradient, const BatchNormRecord& record, const Above& above) {
  const auto& [input, weight, output, mean, scale, training, shared, slope, bias] = record;
  const BatchNormKernels& kernels = *batchNormKernels();
  const at::Tensor& ordered = output.defined() ? output : input;
  const BatchNormMaps maps = mapsOf(ordered);
  const auto wide = wideType(input.scalar_type());
  const auto format = ordered.suggest_memory_format();
  const auto inOrder = [&](const at::Tensor& map) {
    return map.defined() ? plain(map).contiguous(format) : at::zeros_like(ordered);
  };
  const at::Tensor dense = input.contiguous(format);
  const at::Tensor gradient = inOrder(givenGradient), outer = inOrder(above.input);
  const at::Tensor residual = above.residual.defined() ? inOrder(above.residual) : at::Tensor{};
  const void* const outputData = output.defined() ? output.data_ptr() : nullptr;

  const auto channels = static_cast<size_t>(maps.channels);
  const auto count = static_cast<double>(maps.batch * maps.inner);
  std::vector<double> sums(BatchNormKernels::kSecondSums * channels);
  const at::Tensor scratch = at::empty({BatchNormKernels::kSecondSums * BatchNormKernels::kMostSegments * maps.channels},
                                       at::TensorOptions().dtype(at::kDouble));
  kernels.secondSums(maps, outer.data_ptr(), gradient.data_ptr(), outputData, dense.data_ptr(), mean.data_ptr(),
                     scratch.data_ptr<double>(), sums.data());

  const std::vector<double> scales = numbersOf(scale), weights = numbersOf(weight);
  const auto orZeros = [&](const at::Tensor& vector) {
    return vector.defined() ? numbersOf(plain(vector)) : std::vector<double>(channels);
  };
  const std::vector<double> ofWeight = orZeros(above.weight), ofBias = orZeros(above.bias);
  std::array<std::vector<double>, 7> factors;
  for (auto& factor : factors) factor.resize(channels);
  std::vector<double> weightGradient(channels);
  for (size_t c = 0; c < channels; ++c) {
    const double s = scales[c], w = weights[c], h = ofWeight[c];
    const auto meanOf = [&](size_t kind) { return sums[kind * channels + c] / count; };
    const double share = training ? 1 : 0;
    const double G = share * meanOf(0), C = share * s * meanOf(1), A = share * meanOf(2), B = share * s * meanOf(3);
    const double Q = meanOf(4) - G * A - C * B;
    weightGradient[c] = s * count * Q;
    factors[0][c] = w * s;
    factors[1][c] = (h - w * s * C) * s;
    factors[2][c] = ofBias[c] - w * s * G;
    factors[3][c] = s * (h - w * s * C);
    factors[4][c] = -w * s * s * B;
    factors[5][c] = share * s * (-w * s * s * (Q - 2 * C * B) - h * s * B);
    factors[6][c] = w * s * s * (C * A + B * G) - h * s * A;
  }
  std::array<at::Tensor, 7> vectors;
  for (size_t i = 0; i < factors.size(); ++i) vectors[i] = vectorOf(factors[i], wide);
  const void* const parameters[8] = {mean.data_ptr(),       vectors[0].data_ptr(), vectors[1].data_ptr(),
                                     vectors[2].data_ptr(), vectors[3].data_ptr(), vectors[4].data_ptr(),
                                     vectors[5].data_ptr(), vectors[6].data_ptr()};
  variable_list results{at::empty_like(dense), at::empty_like(dense), vectorOf(weightGradient, weight.scalar_type())};
  kernels.secondGradients(maps, outer.data_ptr(), gradient.data_ptr(), outputData, dense.data_ptr(),
                          residual.defined() ? residual.data_ptr() : nullptr, parameters, results[0].data_ptr(),
                          results[1].data_ptr());
  return results;
}

class BatchNormGradients : public torch::autograd::Function<BatchNormGradients> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& gradient, const at::Tensor& input,
                               const at::Tensor& weight, const BatchNormRecord& record, const BatchNormNeeds& needs) {
    context->save_for_backward({gradient, input, weight, record.output, record.mean, record.scale});
    context->saved_data["training"] = record.training;
    context->set_materialize_grads(false);
    variable_list results = batchNormGradients(gradient, record, needs);
    // Autograd wants a tensor for every output; an empty one is thrown away by the caller.
    for (auto& result : results) {
      if (!result.defined()) result = at::empty({0});
    }
    return results;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& gradient = saved[0];
    const BatchNormRecord record{saved[1], saved[2], saved[3], saved[4], saved[5],
                                 context->saved_data["training"].toBool(), {}};
    // What is above an empty tensor means nothing.
    const auto real = [](const at::Tensor& tensor) { return tensor.defined() && tensor.numel() > 0 ? tensor : at::Tensor{}; };
    const Above above{real(gradients[0]), real(gradients[1]), real(gradients[2]), real(gradients[3])};
    variable_list results =
        at::GradMode::is_enabled() ? composedSecondGradients(gradient, record, above) : secondGradients(gradient, record, above);
    results.resize(5);
    return results;
  }
};

}  // namespace

variable_list recordedBatchNormGradients(const at::Tensor& gradient, const BatchNormRecord& record,
                                         const BatchNormNeeds& needs) {
  if (!at::GradMode::is_enabled()) return batchNormGradients(gradient, record, needs);
  TORCH_CHECK(!record.shared, "batch normalisation over several ranks cannot be differentiated twice. Run the whole batch on one rank");
  BatchNormRecord constant = record;
  if (constant.output.defined()) constant.output = constant.output.detach();
  variable_list results = BatchNormGradients::apply(gradient, record.input, record.weight, constant, needs);
  if (!needs.input) results[0] = at::Tensor();
  if (!needs.parameters) results[1] = results[2] = at::Tensor();
  if (!needs.residual) results[3] = at::Tensor();
  return results;
}

}  // namespace cohort
