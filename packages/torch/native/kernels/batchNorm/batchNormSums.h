// The two sums of every channel that the gradient of batch normalisation needs, in one pass over gradient, output and input.
#pragma once

#include "kernels/batchNorm/batchNormLoops.h"

namespace cohort {
namespace {

/// What a gradient is masked by: nothing, the rectified output, or what the output was computed from, which saves reading it.
enum class MaskBy { kNothing, kOutput, kInput };

/// Of every channel: mean, and where the mask is by the input what it was normalised with.
template <typename E>
struct ChannelNumbers {
  const Wide<E>* mean;
  const Wide<E>* slope;
  const Wide<E>* bias;
};

/// Sums of one block over some rows; `kWrites` says whether the masked gradient is written.
template <typename E, typename Shape, MaskBy kMask, bool kWrites>
COHORT_INLINE void blockSums(const E* gradient, const E* output, const E* input, const ChannelNumbers<E>& numbers, E* masked,
                      int64_t rows, int64_t channels, Wide<E>* sums, Wide<E>* products) {
  constexpr int W = Shape::W, K = Shape::K, R = Shape::kRows;
  using V = Vector<Wide<E>, W>;
  V center[K], slope[K], bias[K];
  for (int k = 0; k < K; ++k) {
    center[k] = load<W>(numbers.mean + k * W);
    if constexpr (kMask == MaskBy::kInput) {
      slope[k] = load<W>(numbers.slope + k * W);
      bias[k] = load<W>(numbers.bias + k * W);
    }
  }
  V sum[R][K] = {};
  V product[R][K] = {};
  const auto visit = [&](int64_t at, int r, int k) __attribute__((always_inline)) {
    V value = load<W>(gradient + at);
    const V difference = load<W>(input + at) - center[k];
    if constexpr (kMask == MaskBy::kOutput) value = whereNotNegative(load<W>(output + at), value);
    if constexpr (kMask == MaskBy::kInput) value = whereNotNegative(difference * slope[k] + bias[k], value);
    if (kWrites) store<W>(masked + at, value);
    sum[r][k] += value;
    product[r][k] += value * difference;
  };
  int64_t row = 0;
  for (; row + R <= rows; row += R) {
    for (int r = 0; r < R; ++r) {
      for (int k = 0; k < K; ++k) visit((row + r) * channels + k * W, r, k);
    }
  }
  for (; row < rows; ++row) {
    for (int k = 0; k < K; ++k) visit(row * channels + k * W, 0, k);
  }
  for (int k = 0; k < K; ++k) {
    for (int r = 1; r < R; ++r) {
      sum[0][k] += sum[r][k];
      product[0][k] += product[r][k];
    }
    store<W>(sums + k * W, sum[0][k]);
    store<W>(products + k * W, product[0][k]);
  }
}

template <typename E, MaskBy kMask, bool kWrites>
void rowSums(const BatchNormMaps& maps, const E* gradient, const E* output, const E* input,
             const ChannelNumbers<E>& numbers, E* masked, double* scratch) {
  const RowChunks chunks(maps);
  const int64_t channels = maps.channels;
  const int threads = threadsFor(maps);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t segment = 0; segment < chunks.segments; ++segment) {
    double* const sums = scratch + 2 * segment * channels;
    for (int64_t c = 0; c < 2 * channels; ++c) sums[c] = 0;
    for (int64_t chunk = chunks.firstOf(segment); chunk < chunks.firstOf(segment + 1); ++chunk) {
      const int64_t start = chunks.begin(chunk) * channels;
      const int64_t rows = chunks.size(chunk);
      forBlocks<E>(channels, [&](auto block, int64_t first, int64_t skip) {
        constexpr int width = decltype(block)::W * decltype(block)::K;
        Wide<E> sum[width];
        Wide<E> product[width];
        const int64_t at = start + first;
        ChannelNumbers<E> here{numbers.mean + first, nullptr, nullptr};
        if constexpr (kMask == MaskBy::kInput) here = {numbers.mean + first, numbers.slope + first, numbers.bias + first};
        blockSums<E, decltype(block), kMask, kWrites>(gradient + at, kMask == MaskBy::kOutput ? output + at : nullptr,
                                                      input + at, here, kWrites ? masked + at : nullptr, rows, channels, sum,
                                                      product);
        for (int64_t i = skip; i < width; ++i) {
          sums[first + i] += sum[i];
          sums[channels + first + i] += product[i];
        }
      });
    }
  }
}

template <typename E, MaskBy kMask, bool kWrites>
void planeSums(const BatchNormMaps& maps, const E* gradient, const E* output, const E* input,
               const ChannelNumbers<E>& numbers, E* masked, double* scratch) {
  constexpr int W = Element<E>::kWidest;
  const PlaneSegments segments(maps);
  const int64_t channels = maps.channels;
  const int threads = threadsFor(maps);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t task = 0; task < segments.count * channels; ++task) {
    const int64_t segment = task / channels;
    const int64_t channel = task % channels;
    double laneSums[W] = {};
    double laneProducts[W] = {};
    for (int64_t n = segments.firstOf(segment); n < segments.firstOf(segment + 1); ++n) {
      const int64_t plane = (n * channels + channel) * maps.inner;
      for (int64_t begin = 0; begin < maps.inner; begin += kPieceOfPlane) {
        const int64_t count = least(kPieceOfPlane, maps.inner - begin);
        const int64_t start = plane + begin;
        // A plane is a column of rows of one channel: W rows at a time as a block of W channels, the rest one by one.
        Wide<E> sum[W];
        Wide<E> product[W];
        Wide<E> center[W], slope[W], bias[W];
        for (int i = 0; i < W; ++i) {
          center[i] = numbers.mean[channel];
          if constexpr (kMask == MaskBy::kInput) {
            slope[i] = numbers.slope[channel];
            bias[i] = numbers.bias[channel];
          }
        }
        const ChannelNumbers<E> here{center, slope, bias};
        constexpr bool kReadsOutput = kMask == MaskBy::kOutput;
        const int64_t rows = count / W;
        blockSums<E, Block<W, 1>, kMask, kWrites>(gradient + start, kReadsOutput ? output + start : nullptr, input + start,
                                                  here, kWrites ? masked + start : nullptr, rows, W, sum, product);
        for (int i = 0; i < W; ++i) laneSums[i] += sum[i];
        for (int i = 0; i < W; ++i) laneProducts[i] += product[i];
        const int64_t at = start + rows * W;
        if (rows * W == count) continue;
        blockSums<E, Block<1, 1>, kMask, kWrites>(gradient + at, kReadsOutput ? output + at : nullptr, input + at, here,
                                                  kWrites ? masked + at : nullptr, count - rows * W, 1, sum, product);
        laneSums[0] += sum[0];
        laneProducts[0] += product[0];
      }
    }
    double allSum = 0;
    double allProduct = 0;
    for (int i = 0; i < W; ++i) {
      allSum += laneSums[i];
      allProduct += laneProducts[i];
    }
    scratch[2 * segment * channels + channel] = allSum;
    scratch[(2 * segment + 1) * channels + channel] = allProduct;
  }
}

template <typename E>
void sumsOf(const BatchNormMaps& maps, const void* gradientData, const void* outputData, const void* inputData,
            const void* mean, const void* slope, const void* bias, void* maskedData, double* scratch, double* sum, double* product) {
  const auto* const gradient = static_cast<const E*>(gradientData);
  const auto* const output = static_cast<const E*>(outputData);
  const auto* const input = static_cast<const E*>(inputData);
  const auto wide = [](const void* data) { return static_cast<const Wide<E>*>(data); };
  const ChannelNumbers<E> numbers{wide(mean), wide(slope), wide(bias)};
  auto* const masked = static_cast<E*>(maskedData);
  const auto walk = [&](auto unmasked, auto byInput, auto unwritten, auto written) {
    return slope != nullptr ? byInput : output == nullptr ? unmasked : masked == nullptr ? unwritten : written;
  };
  const auto sums =
      maps.inRows
          ? walk(rowSums<E, MaskBy::kNothing, false>, rowSums<E, MaskBy::kInput, false>, rowSums<E, MaskBy::kOutput, false>,
                 rowSums<E, MaskBy::kOutput, true>)
          : walk(planeSums<E, MaskBy::kNothing, false>, planeSums<E, MaskBy::kInput, false>,
                 planeSums<E, MaskBy::kOutput, false>, planeSums<E, MaskBy::kOutput, true>);
  sums(maps, gradient, output, input, numbers, masked, scratch);
  const int64_t channels = maps.channels;
  const int64_t segments = maps.inRows ? RowChunks(maps).segments : PlaneSegments(maps).count;
  for (int64_t c = 0; c < channels; ++c) sum[c] = product[c] = 0;
  for (int64_t segment = 0; segment < segments; ++segment) {
    const double* const part = scratch + 2 * segment * channels;
    for (int64_t c = 0; c < channels; ++c) {
      sum[c] += part[c];
      product[c] += part[channels + c];
    }
  }
}

}  // namespace
}  // namespace cohort
