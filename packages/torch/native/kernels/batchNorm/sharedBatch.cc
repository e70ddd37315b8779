// Statistics of a batch that ranks share. They are put together in the order of ranks, in float64: the same bits on every rank.
#include "kernels/batchNorm/sharedBatch.h"

#include <utility>

namespace cohort {
namespace {

thread_local c10::intrusive_ptr<SharedBatch> currentBatch;

/// [count, first..., second...] of every rank.
std::vector<double> gathered(SharedBatch& batch, double count, const std::vector<double>& first,
                             const std::vector<double>& second) {
  std::vector<double> own{count};
  own.insert(own.end(), first.begin(), first.end());
  own.insert(own.end(), second.begin(), second.end());
  return batch.gather(own);
}

}  // namespace

c10::intrusive_ptr<SharedBatch> SharedBatch::current() { return currentBatch; }

void SharedBatch::setCurrent(c10::intrusive_ptr<SharedBatch> batch) { currentBatch = std::move(batch); }

c10::IValue SharedBatch::toValue(const c10::intrusive_ptr<SharedBatch>& batch) {
  return batch ? c10::IValue::make_capsule(batch) : c10::IValue();
}

c10::intrusive_ptr<SharedBatch> SharedBatch::fromValue(const c10::IValue& value) {
  if (value.isNone()) return {};
  return c10::static_intrusive_pointer_cast<SharedBatch>(value.toCapsule());
}

double mergeStatistics(SharedBatch& batch, double count, std::vector<double>& mean, std::vector<double>& squares) {
  const size_t channels = mean.size(), width = 2 * channels + 1;
  const std::vector<double> all = gathered(batch, count, mean, squares);
  double total = 0;
  for (size_t start = 0; start < all.size(); start += width) total += all[start];
  for (size_t c = 0; c < channels; ++c) {
    double sum = 0, difference = 0;
    for (size_t start = 0; start < all.size(); start += width) sum += all[start] * all[start + 1 + c];
    mean[c] = sum / total;
    for (size_t start = 0; start < all.size(); start += width) {
      const double distance = all[start + 1 + c] - mean[c];
      difference += all[start + 1 + channels + c] + all[start] * distance * distance;
    }
    squares[c] = difference;
  }
  return total;
}

double addSums(SharedBatch& batch, double count, std::vector<double>& sum, std::vector<double>& product) {
  const size_t channels = sum.size(), width = 2 * channels + 1;
  const std::vector<double> all = gathered(batch, count, sum, product);
  double total = 0;
  for (size_t c = 0; c < channels; ++c) sum[c] = product[c] = 0;
  for (size_t start = 0; start < all.size(); start += width) {
    total += all[start];
    for (size_t c = 0; c < channels; ++c) {
      sum[c] += all[start + 1 + c];
      product[c] += all[start + 1 + channels + c];
    }
  }
  return total;
}

}  // namespace cohort
