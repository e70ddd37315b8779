// The five sums of every channel that the second derivative of batch normalisation needs, in one pass over four maps.
#pragma once

#include "kernels/batchNorm/batchNormLoops.h"

namespace cohort {
namespace {

constexpr int kSecondSums = BatchNormKernels::kSecondSums;

/// Of one block over some rows, in the order that BatchNormKernels::secondSums documents.
template <typename E, typename Shape, bool kMasks>
COHORT_INLINE void blockSecondSums(const E* outer, const E* gradient, const E* output, const E* input, const Wide<E>* mean,
                                   int64_t rows, int64_t channels,
                                   Wide<E> (&sums)[kSecondSums][Shape::W * Shape::K]) {
  constexpr int W = Shape::W, K = Shape::K, R = Shape::kRows;
  using V = Vector<Wide<E>, W>;
  V center[K];
  for (int k = 0; k < K; ++k) center[k] = load<W>(mean + k * W);
  V sum[kSecondSums][R][K] = {};
  const auto visit = [&](int64_t at, int r, int k) __attribute__((always_inline)) {
    V inner = load<W>(gradient + at);
    if constexpr (kMasks) inner = whereNotNegative(load<W>(output + at), inner);
    const V above = load<W>(outer + at);
    const V distance = load<W>(input + at) - center[k];
    sum[0][r][k] += above;
    sum[1][r][k] += above * distance;
    sum[2][r][k] += inner;
    sum[3][r][k] += inner * distance;
    sum[4][r][k] += above * inner;
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
  for (int s = 0; s < kSecondSums; ++s) {
    for (int k = 0; k < K; ++k) {
      for (int r = 1; r < R; ++r) sum[s][0][k] += sum[s][r][k];
      store<W>(sums[s] + k * W, sum[s][0][k]);
    }
  }
}

template <typename E, bool kMasks>
void rowSecondSums(const BatchNormMaps& maps, const E* outer, const E* gradient, const E* output, const E* input,
                   const Wide<E>* mean, double* scratch) {
  const RowChunks chunks(maps);
  const int64_t channels = maps.channels;
  const int threads = threadsFor(maps);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t segment = 0; segment < chunks.segments; ++segment) {
    double* const totals = scratch + kSecondSums * segment * channels;
    for (int64_t c = 0; c < kSecondSums * channels; ++c) totals[c] = 0;
    for (int64_t chunk = chunks.firstOf(segment); chunk < chunks.firstOf(segment + 1); ++chunk) {
      const int64_t start = chunks.begin(chunk) * channels;
      const int64_t rows = chunks.size(chunk);
      forBlocks<E>(channels, [&](auto block, int64_t first, int64_t skip) {
        constexpr int width = decltype(block)::W * decltype(block)::K;
        Wide<E> sums[kSecondSums][width];
        const int64_t at = start + first;
        blockSecondSums<E, decltype(block), kMasks>(outer + at, gradient + at, kMasks ? output + at : nullptr, input + at,
                                                    mean + first, rows, channels, sums);
        for (int s = 0; s < kSecondSums; ++s) {
          for (int64_t i = skip; i < width; ++i) totals[s * channels + first + i] += sums[s][i];
        }
      });
    }
  }
}

template <typename E, bool kMasks>
void planeSecondSums(const BatchNormMaps& maps, const E* outer, const E* gradient, const E* output, const E* input,
                     const Wide<E>* mean, double* scratch) {
  constexpr int W = Element<E>::kWidest;
  const PlaneSegments segments(maps);
  const int64_t channels = maps.channels;
  const int threads = threadsFor(maps);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t task = 0; task < segments.count * channels; ++task) {
    const int64_t segment = task / channels;
    const int64_t channel = task % channels;
    double totals[kSecondSums][W] = {};
    Wide<E> center[W];
    for (int i = 0; i < W; ++i) center[i] = mean[channel];
    for (int64_t n = segments.firstOf(segment); n < segments.firstOf(segment + 1); ++n) {
      const int64_t plane = (n * channels + channel) * maps.inner;
      for (int64_t begin = 0; begin < maps.inner; begin += kPieceOfPlane) {
        const int64_t count = least(kPieceOfPlane, maps.inner - begin);
        const int64_t start = plane + begin;
        const int64_t rows = count / W;
        Wide<E> sums[kSecondSums][W];
        blockSecondSums<E, Block<W, 1>, kMasks>(outer + start, gradient + start, kMasks ? output + start : nullptr,
                                                input + start, center, rows, W, sums);
        for (int s = 0; s < kSecondSums; ++s) {
          for (int i = 0; i < W; ++i) totals[s][i] += sums[s][i];
        }
        const int64_t at = start + rows * W;
        if (rows * W == count) continue;
        Wide<E> rest[kSecondSums][1];
        blockSecondSums<E, Block<1, 1>, kMasks>(outer + at, gradient + at, kMasks ? output + at : nullptr, input + at, center,
                                                count - rows * W, 1, rest);
        for (int s = 0; s < kSecondSums; ++s) totals[s][0] += rest[s][0];
      }
    }
    for (int s = 0; s < kSecondSums; ++s) {
      double all = 0;
      for (int i = 0; i < W; ++i) all += totals[s][i];
      scratch[(kSecondSums * segment + s) * channels + channel] = all;
    }
  }
}

template <typename E>
void secondSumsOf(const BatchNormMaps& maps, const void* outerData, const void* gradientData, const void* outputData,
                  const void* inputData, const void* meanData, double* scratch, double* sums) {
  const auto* const output = static_cast<const E*>(outputData);
  const auto walk = maps.inRows ? (output == nullptr ? rowSecondSums<E, false> : rowSecondSums<E, true>)
                                : (output == nullptr ? planeSecondSums<E, false> : planeSecondSums<E, true>);
  walk(maps, static_cast<const E*>(outerData), static_cast<const E*>(gradientData), output,
       static_cast<const E*>(inputData), static_cast<const Wide<E>*>(meanData), scratch);
  const int64_t numbers = kSecondSums * maps.channels;
  const int64_t segments = maps.inRows ? RowChunks(maps).segments : PlaneSegments(maps).count;
  for (int64_t i = 0; i < numbers; ++i) sums[i] = 0;
  for (int64_t segment = 0; segment < segments; ++segment) {
    for (int64_t i = 0; i < numbers; ++i) sums[i] += scratch[segment * numbers + i];
  }
}

/// Both results of BatchNormKernels::secondGradients in one pass.
template <typename E, bool kMasks>
void bothSecondGradients(const BatchNormMaps& maps, const E* outer, const E* gradient, const E* output, const E* input,
                         const E* residual, const Wide<E>* const (&parameters)[8], E* ofGradient, E* ofInput) {
  forElements<E>(maps, parameters, [=](auto lanes, int64_t at, const auto& given) {
    constexpr int W = decltype(lanes)::W;
    using V = Vector<Wide<E>, W>;
    const V above = load<W>(outer + at);
    const V distance = load<W>(input + at) - given[0];
    V inner = load<W>(gradient + at);
    V first = above * given[1] + distance * given[2] + given[3];
    if (residual != nullptr) first += load<W>(residual + at);
    if constexpr (kMasks) {
      const V sign = load<W>(output + at);
      inner = whereNotNegative(sign, inner);
      first = whereNotNegative(sign, first);
    }
    store<W>(ofGradient + at, first);
    store<W>(ofInput + at, inner * given[4] + above * given[5] + distance * given[6] + given[7]);
  });
}

template <typename E>
void secondGradientsOf(const BatchNormMaps& maps, const void* outer, const void* gradient, const void* outputData,
                       const void* input, const void* residual, const void* const (&given)[8], void* ofGradient,
                       void* ofInput) {
  const Wide<E>* parameters[8];
  for (int p = 0; p < 8; ++p) parameters[p] = static_cast<const Wide<E>*>(given[p]);
  const auto* const output = static_cast<const E*>(outputData);
  const auto run = output == nullptr ? bothSecondGradients<E, false> : bothSecondGradients<E, true>;
  run(maps, static_cast<const E*>(outer), static_cast<const E*>(gradient), output, static_cast<const E*>(input),
      static_cast<const E*>(residual), parameters, static_cast<E*>(ofGradient), static_cast<E*>(ofInput));
}

}  // namespace
}  // namespace cohort
