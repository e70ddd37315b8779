// From the layout that our loops sum weight gradients in to that of the weights, block by block: ATen's copy goes through
// the whole gradient number by number, and takes as long as a tenth of the step where weights are large.
#include "kernels/convolution/weightLayout.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace cohort {
namespace {

/// Channels each way of a block; read are cache lines of 16 numbers.
constexpr int64_t kBlock = 16;

}  // namespace

at::Tensor inLayoutOf(const at::Tensor& weight, const at::Tensor& summed) {
  const int64_t taps = summed.size(0) * summed.size(1), in = summed.size(2), out = summed.size(3);
  const auto format = weight.suggest_memory_format();
  const at::Tensor result = at::empty({out, in, summed.size(0), summed.size(1)}, summed.options(), format);
  const int64_t tapStep = format == at::MemoryFormat::ChannelsLast ? in : 1;
  const int64_t inStep = format == at::MemoryFormat::ChannelsLast ? 1 : taps;
  const float* const from = summed.data_ptr<float>();
  float* const to = result.data_ptr<float>();
  at::parallel_for(0, (out + kBlock - 1) / kBlock, 1 + (1 << 16) / (taps * in * kBlock), [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * kBlock; first < std::min(end * kBlock, out); first += kBlock) {
      const int64_t last = std::min(first + kBlock, out);
      for (int64_t inFirst = 0; inFirst < in; inFirst += kBlock) {
        for (int64_t tap = 0; tap < taps; ++tap) {
          for (int64_t i = inFirst; i < std::min(inFirst + kBlock, in); ++i) {
            const float* const line = from + (tap * in + i) * out;
            float* const place = to + tap * tapStep + i * inStep;
            for (int64_t o = first; o < last; ++o) place[o * taps * in] = line[o];
          }
        }
      }
    }
  });
  return result;
}

}  // namespace cohort
