// A batch of which every rank holds a part: batch normalisation then takes its statistics, and the sums of its gradient, over
// all ranks (synchronised batch normalisation, Zhang et al., arXiv 1803.08904, section 3.2.2).
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <ATen/core/ivalue.h>

#include <vector>

namespace cohort {

/// The ranks that share a batch.
class SharedBatch : public torch::CustomClassHolder {
 public:
  /// As many numbers from every rank, one after the other in the order of ranks. All ranks call it in the same order.
  virtual std::vector<double> gather(const std::vector<double>& own) = 0;

  /// What normalisations on this thread share; null where they see the whole batch.
  static c10::intrusive_ptr<SharedBatch> current();
  static void setCurrent(c10::intrusive_ptr<SharedBatch> batch);

  /// For autograd, which keeps it between the ways there and back.
  static c10::IValue toValue(const c10::intrusive_ptr<SharedBatch>& batch);
  static c10::intrusive_ptr<SharedBatch> fromValue(const c10::IValue& value);
};

/// How many values a channel has on all ranks, with their mean and the sum of their squared differences from it.
double mergeStatistics(SharedBatch& batch, double count, std::vector<double>& mean, std::vector<double>& squares);

/// Adds the sums of all ranks up; returns how many values a channel has on all.
double addSums(SharedBatch& batch, double count, std::vector<double>& sum, std::vector<double>& product);

}  // namespace cohort
