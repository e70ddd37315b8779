// Batch normalisation by our own loops, on tensors: forward reads the input twice in training, for statistics and for the
// result; backward reads gradient, output and input twice.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <vector>

#include "kernels/batchNorm/batchNorm.h"

namespace cohort {

using torch::autograd::variable_list;

at::ScalarType wideType(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

bool isPlain(const at::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return tensor.device().is_cpu() && tensor.layout() == at::kStrided && !tensor.is_nested() && tensor.has_storage() &&
         !tensor.is_neg() && !tensor._is_zerotensor() &&
         (type == at::kFloat || type == at::kDouble || type == at::kBFloat16);
}

namespace {

/// The order of elements in which maps are worked on.
at::MemoryFormat formatOf(const at::Tensor& input) { return input.suggest_memory_format(); }

}  // namespace

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

namespace {

template <typename T>
void copyNumbers(const at::Tensor& from, std::vector<double>& to) {
  const T* const data = from.data_ptr<T>();
  const int64_t stride = from.stride(0);
  for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<double>(data[static_cast<int64_t>(i) * stride]);
}

}  // namespace

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

namespace {

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

}  // namespace

at::Tensor batchNormScratch(int64_t channels) {
  return at::empty({2 * BatchNormKernels::kMostSegments * channels}, at::TensorOptions().dtype(at::kDouble));
}

namespace {

struct Statistics {
  std::vector<double> mean;
  /// 1 / sqrt(variance + epsilon).
  std::vector<double> scale;
};

/// Of the batch in training, which running statistics then follow; the running ones in evaluation.
Statistics statisticsOf(const BatchNormKernels& kernels, const BatchNormMaps& maps, const at::Tensor& input,
                        const BatchNormSettings& settings, const BatchMoments* known, SharedBatch* shared) {
  const auto channels = static_cast<size_t>(maps.channels);
  Statistics statistics;
  std::vector<double> variance;
  if (settings.training) {
    auto count = static_cast<double>(maps.batch * maps.inner);
    if (known != nullptr) {
      statistics.mean = known->mean;
      variance = known->squares;
    } else {
      statistics.mean.resize(channels);
      variance.resize(channels);
      const at::Tensor scratch = batchNormScratch(maps.channels);
      kernels.statistics(maps, input.data_ptr(), scratch.data_ptr<double>(), statistics.mean.data(), variance.data());
    }
    if (shared != nullptr) count = mergeStatistics(*shared, count, statistics.mean, variance);
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

}  // namespace

at::Tensor plain(const at::Tensor& gradient) {
  return gradient._is_zerotensor() || gradient.is_neg() ? gradient.clone() : gradient;
}

NormalisedBatch measureBatch(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                             const BatchNormSettings& settings, const BatchMoments* known) {
  const auto wide = wideType(input.scalar_type());
  const at::Tensor dense = input.contiguous(formatOf(input));
  const auto shared = settings.training ? SharedBatch::current() : c10::intrusive_ptr<SharedBatch>{};
  const Statistics statistics = statisticsOf(*batchNormKernels(), mapsOf(input), dense, settings, known, shared.get());
  std::vector<double> slope = numbersOf(weight);
  for (size_t c = 0; c < slope.size(); ++c) slope[c] *= statistics.scale[c];
  return {at::Tensor{}, vectorOf(statistics.mean, wide), vectorOf(statistics.scale, wide), vectorOf(slope, wide),
          bias.to(wide, /*non_blocking=*/false, /*copy=*/true).contiguous(), shared};
}

NormalisedBatch normaliseBatch(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                               const OptionalTensor& residual, const BatchNormSettings& settings,
                               const BatchMoments* known) {
  const at::Tensor dense = input.contiguous(formatOf(input));
  NormalisedBatch batch = measureBatch(dense, weight, bias, settings, known);
  batch.output = at::empty_like(dense);
  at::Tensor denseResidual;
  if (residual.has_value()) denseResidual = residual->contiguous(formatOf(input));
  batchNormKernels()->forward(mapsOf(input), dense.data_ptr(), denseResidual.defined() ? denseResidual.data_ptr() : nullptr,
                              batch.mean.data_ptr(), batch.slope.data_ptr(), batch.bias.data_ptr(), settings.rectifies,
                              batch.output.data_ptr());
  return batch;
}

at::Tensor normaliseAgain(const at::Tensor& input, const at::Tensor& bias, const at::Tensor& mean, const at::Tensor& slope) {
  const at::Tensor dense = input.contiguous(formatOf(input));
  const at::Tensor wideBias = bias.to(wideType(input.scalar_type())).contiguous();
  at::Tensor output = at::empty_like(dense);
  batchNormKernels()->forward(mapsOf(input), dense.data_ptr(), nullptr, mean.data_ptr(), slope.data_ptr(),
                              wideBias.data_ptr(), /*rectifies=*/true, output.data_ptr());
  return output;
}

BatchNormFactors batchNormFactors(const at::Tensor& weight, const std::vector<double>& scale, SharedBatch* shared, double count,
                                  std::vector<double> sum, std::vector<double> product) {
  // d input = weight scale (masked - mean(masked) - (input - mean) scale^2 mean(masked (input - mean))). The sums of the
  // parameters stay this rank's own: whoever adds up the gradients of ranks adds them too.
  if (shared != nullptr) count = addSums(*shared, count, sum, product);
  const size_t channels = sum.size();
  BatchNormFactors factors{numbersOf(weight), std::vector<double>(channels), std::vector<double>(channels)};
  auto& [factor, incline, offset] = factors;
  for (size_t c = 0; c < channels; ++c) {
    factor[c] *= scale[c];
    incline[c] = -factor[c] * scale[c] * scale[c] * product[c] / count;
    offset[c] = -factor[c] * sum[c] / count;
  }
  return factors;
}

variable_list batchNormGradients(const at::Tensor& given, const BatchNormRecord& record, const BatchNormNeeds& needs) {
  const auto& [input, weight, output, mean, scale, training, shared, slope, bias] = record;
  variable_list results(4);
  const BatchNormKernels& kernels = *batchNormKernels();
  const at::Tensor& ordered = output.defined() ? output : input;
  const BatchNormMaps maps = mapsOf(ordered);
  const auto wide = wideType(input.scalar_type());
  const auto format = formatOf(ordered);
  const at::Tensor dense = input.contiguous(format);
  const at::Tensor gradient = plain(given).contiguous(format);
  const void* const outputData = output.defined() ? output.data_ptr() : nullptr;
  // Where nothing was rectified, the residual's gradient is the gradient.
  if (needs.residual) results[3] = output.defined() ? at::empty_like(dense) : gradient;
  void* const masked = needs.residual && output.defined() ? results[3].data_ptr() : nullptr;

  // Reading the output costs more than knowing its sign from the input, which is read anyhow.
  const bool isKnown = training && outputData != nullptr && masked == nullptr && slope.defined();
  const void* const maskSlope = isKnown ? slope.data_ptr() : nullptr;
  const void* const maskBias = isKnown ? bias.data_ptr() : nullptr;

  const auto channels = static_cast<size_t>(maps.channels);
  std::vector<double> sum(channels), product(channels);
  if (needs.parameters || (needs.input && training)) {
    const at::Tensor scratch = batchNormScratch(maps.channels);
    kernels.sums(maps, gradient.data_ptr(), outputData, dense.data_ptr(), mean.data_ptr(), maskSlope, maskBias,
                 masked, scratch.data_ptr<double>(), sum.data(), product.data());
  } else if (masked != nullptr) {
    kernels.mask(maps, gradient.data_ptr(), outputData, masked);
  }
  const std::vector<double> scales = numbersOf(scale);
  if (needs.input) {
    const auto count = static_cast<double>(maps.batch * maps.inner);
    const auto [factor, incline, offset] =
        batchNormFactors(weight, scales, training ? shared.get() : nullptr, count, sum, product);
    results[0] = at::empty_like(dense);
    kernels.inputGradient(maps, masked == nullptr ? gradient.data_ptr() : masked,
                          masked == nullptr ? outputData : nullptr, training ? dense.data_ptr() : nullptr,
                          mean.data_ptr(), vectorOf(factor, wide).data_ptr(), vectorOf(incline, wide).data_ptr(),
                          vectorOf(offset, wide).data_ptr(), maskSlope, maskBias, results[0].data_ptr());
  }
  if (needs.parameters) {
    for (size_t c = 0; c < channels; ++c) product[c] *= scales[c];
    results[1] = vectorOf(product, weight.scalar_type());
    results[2] = vectorOf(sum, weight.scalar_type());
  }
  return results;
}

}  // namespace cohort
