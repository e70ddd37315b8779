// Batch normalisation by our own loops, on tensors, for the operators that contain it.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/variable.h>

#include <vector>

#include "kernels/batchNorm/batchNormKernels.h"
#include "kernels/batchNorm/sharedBatch.h"
#include "kernels/optionalTensor.h"

namespace cohort {

/// What is no tensor to differentiate by.
struct BatchNormSettings {
  OptionalTensor runningMean;
  OptionalTensor runningVar;
  bool training;
  double momentum;
  double epsilon;
  /// Whether ReLU comes after it.
  bool rectifies;
};

/// The type that parameters and statistics have with such an input.
at::ScalarType wideType(at::ScalarType type);

/// Whether the elements lie in this process's memory as they are, in a type that the loops know.
bool isPlain(const at::Tensor& tensor);
inline bool isPlain(const OptionalTensor& tensor) { return !isGiven(tensor) || isPlain(*tensor); }

/// How the loops see the input's feature maps.
BatchNormMaps mapsOf(const at::Tensor& input);

/// The elements of a vector of parameters or statistics, and a vector of such elements in the given type.
std::vector<double> numbersOf(const at::Tensor& vector);
at::Tensor vectorOf(const std::vector<double>& numbers, at::ScalarType type);

/// The gradient with its elements in memory: callers may hand in ones that are known to be zero, or negated when read.
at::Tensor plain(const at::Tensor& gradient);

struct NormalisedBatch {
  at::Tensor output;
  /// Of every channel, in the wide type: mean, 1 / sqrt(variance + epsilon), and the latter times the weight.
  at::Tensor mean;
  at::Tensor scale;
  at::Tensor slope;
  /// As it was, whatever becomes of the parameter.
  at::Tensor bias;
  /// The ranks whose values the statistics are of as well; null where this is the whole batch.
  c10::intrusive_ptr<SharedBatch> shared;
};

/// Of every channel: mean, and the sum of squared differences from it.
struct BatchMoments {
  std::vector<double> mean;
  std::vector<double> squares;
};

/// Scratch for the loops that sum over maps of so many channels.
at::Tensor batchNormScratch(int64_t channels);

/// What the input is normalised with, without an output; in training running statistics move on. Moments that are known
/// already are not computed again.
NormalisedBatch measureBatch(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                             const BatchNormSettings& settings, const BatchMoments* known = nullptr);

/// Normalises, adds the residual if there is one, and rectifies; in training running statistics move on.
NormalisedBatch normaliseBatch(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                               const OptionalTensor& residual, const BatchNormSettings& settings,
                               const BatchMoments* known = nullptr);

/// The rectified output once more, bit for bit, from what was kept of the first time.
at::Tensor normaliseAgain(const at::Tensor& input, const at::Tensor& bias, const at::Tensor& mean, const at::Tensor& slope);

/// What the gradients are taken from; `output` is undefined where nothing was rectified.
struct BatchNormRecord {
  at::Tensor input;
  at::Tensor weight;
  at::Tensor output;
  at::Tensor mean;
  at::Tensor scale;
  bool training;
  /// As in the batch that was normalised.
  c10::intrusive_ptr<SharedBatch> shared;
  /// What tells of a rectified output without a residual whether it is positive; undefined where there was one.
  at::Tensor slope;
  at::Tensor bias;
};
struct BatchNormNeeds {
  bool input;
  bool parameters;
  bool residual;
};

/// d input = masked factor + (input - mean) incline + offset, for each channel, in training.
struct BatchNormFactors {
  std::vector<double> factor;
  std::vector<double> incline;
  std::vector<double> offset;
};

/// From the sums of this rank over masked and masked (input - mean), of `count` numbers per channel.
BatchNormFactors batchNormFactors(const at::Tensor& weight, const std::vector<double>& scale, SharedBatch* shared, double count,
                                  std::vector<double> sum, std::vector<double> product);

/// The gradients by input, weight, bias and residual; undefined where they are not needed.
torch::autograd::variable_list batchNormGradients(const at::Tensor& gradient, const BatchNormRecord& record,
                                                  const BatchNormNeeds& needs);

/// The same, recorded by autograd where it records, so that they can be differentiated once more.
torch::autograd::variable_list recordedBatchNormGradients(const at::Tensor& gradient, const BatchNormRecord& record,
                                                          const BatchNormNeeds& needs);

/// Normalises, adds and rectifies, recorded by autograd; the tensors are plain and not empty.
at::Tensor recordedBatchNorm(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                             const OptionalTensor& residual, const BatchNormSettings& settings);

/// Refuses what ATen would refuse, and what it would let pass and turn into NaN.
void checkBatchNorm(const at::Tensor& input, const OptionalTensor& residual, const OptionalTensor& weight,
                    const OptionalTensor& bias, const BatchNormSettings& settings);

}  // namespace cohort
