// The loops of batch normalisation with ReLU whose output is shuffled with other channels. The Makefile compiles this file for
// AVX-512 and AVX-512 BF16, without fused multiply-add, so that the mask of a gradient is that of the output.
#include "kernels/channels/shuffledNormKernels.h"

#include <immintrin.h>

#include "kernels/batchNorm/batchNormSums.h"
#include "kernels/floatVectors.h"

namespace cohort {
namespace {

using Bits = Vector<uint32_t, kWidth>;

/// A vector of channels of two kinds that lie in turns.
struct PairOfVectors {
  V left;
  V right;
};

COHORT_INLINE PairOfVectors loadShuffled(const float* from) {
  const V first = load<kWidth>(from), second = load<kWidth>(from + kWidth);
  const auto pick = [&](int offset) __attribute__((always_inline)) {
    Vector<int32_t, kWidth> places;
    for (int lane = 0; lane < kWidth; ++lane) places[lane] = 2 * lane + offset;
    return reinterpret_cast<V>(_mm512_permutex2var_ps(reinterpret_cast<__m512>(first), reinterpret_cast<__m512i>(places),
                                                      reinterpret_cast<__m512>(second)));
  };
  return {pick(0), pick(1)};
}
COHORT_INLINE PairOfVectors loadShuffled(const BFloat16* from) {
  Bits bits;
  memcpy(&bits, from, sizeof(bits));
  return {reinterpret_cast<V>(bits << 16), reinterpret_cast<V>(bits & 0xFFFF0000)};
}

COHORT_INLINE void storeShuffled(float* to, V left, V right) {
  const auto mix = [&](int half) __attribute__((always_inline)) {
    Vector<int32_t, kWidth> places;
    for (int lane = 0; lane < kWidth; ++lane) places[lane] = (half * kWidth + lane) / 2 + lane % 2 * kWidth;
    return reinterpret_cast<V>(_mm512_permutex2var_ps(reinterpret_cast<__m512>(left), reinterpret_cast<__m512i>(places),
                                                      reinterpret_cast<__m512>(right)));
  };
  store<kWidth>(to, mix(0));
  store<kWidth>(to + kWidth, mix(1));
}
/// Both halves come from bfloat16 or are rounded to it here.
COHORT_INLINE void storeShuffled(BFloat16* to, V left, V right) {
  BFloat16 narrow[kWidth];
  store<kWidth>(narrow, right);
  Vector<uint16_t, kWidth> bits;
  memcpy(&bits, narrow, sizeof(bits));
  const Bits both = __builtin_convertvector(bits, Bits) << 16 | reinterpret_cast<Bits>(left) >> 16;
  memcpy(to, &both, sizeof(both));
}

/// Numbers of one vector of channels.
struct LaneNumbers {
  LaneNumbers(const ShuffledNorm& norm, int64_t first)
      : mean(load<kWidth>(norm.mean + first)), slope(load<kWidth>(norm.slope + first)), bias(load<kWidth>(norm.bias + first)) {}
  V mean, slope, bias;
};

/// Calls `body(row, first channel)` for all vectors of channels, one row after the other: rows of three maps would not stay in
/// the first cache until the next vector comes.
template <typename Body>
COHORT_INLINE void forVectors(const BatchNormMaps& maps, const Body& body) {
  const RowChunks chunks(maps);
  const int threads = threadsFor(maps);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t chunk = 0; chunk < chunks.count; ++chunk) {
    const int64_t end = chunks.begin(chunk) + chunks.size(chunk);
    for (int64_t row = chunks.begin(chunk); row < end; ++row) {
      for (int64_t first = 0; first + kWidth <= maps.channels; first += kWidth) body(row, first);
      if (maps.channels % kWidth != 0) body(row, maps.channels - kWidth);
    }
  }
}

template <typename E>
void join(const BatchNormMaps& maps, const E* left, const E* input, const ShuffledNorm& norm, E* both) {
  const int64_t channels = maps.channels;
  forVectors(maps, [=](int64_t row, int64_t first) __attribute__((always_inline)) {
    const LaneNumbers numbers(norm, first);
    const V value = (load<kWidth>(input + row * channels + first) - numbers.mean) * numbers.slope + numbers.bias;
    storeShuffled(both + 2 * (row * channels + first), load<kWidth>(left + 2 * row * channels + first),
                  whereNotNegative(value, value));
  });
}

/// Adds some rows of one vector of channels to sums and products, two of each for even and odd rows; writes the left gradients.
template <typename E>
COHORT_INLINE void addRows(const E* both, const E* input, const LaneNumbers& numbers, E* left, int64_t rows, int64_t channels,
                           float (&sums)[4][kWidth]) {
  V sum[2] = {load<kWidth>(sums[0]), load<kWidth>(sums[1])}, product[2] = {load<kWidth>(sums[2]), load<kWidth>(sums[3])};
  const auto visit = [&](int64_t row, int r) __attribute__((always_inline)) {
    const PairOfVectors pair = loadShuffled(both + 2 * row * channels);
    const V difference = load<kWidth>(input + row * channels) - numbers.mean;
    const V masked = whereNotNegative<V>(difference * numbers.slope + numbers.bias, pair.right);
    store<kWidth>(left + 2 * row * channels, pair.left);
    sum[r] += masked;
    product[r] += masked * difference;
  };
  int64_t row = 0;
  for (; row + 2 <= rows; row += 2) {
    visit(row, 0);
    visit(row + 1, 1);
  }
  for (; row < rows; ++row) visit(row, 0);
  for (int r = 0; r < 2; ++r) {
    store<kWidth>(sums[r], sum[r]);
    store<kWidth>(sums[2 + r], product[r]);
  }
}

/// Channels whose sums are kept on the stack at a time.
constexpr int64_t kVectorsTogether = 16;

template <typename E>
void addUp(const BatchNormMaps& maps, const E* both, const E* input, const ShuffledNorm& norm, E* left, double* scratch,
           double* sum, double* product) {
  const RowChunks chunks(maps);
  const int64_t channels = maps.channels, vectors = (channels + kWidth - 1) / kWidth;
  const int threads = threadsFor(maps);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t segment = 0; segment < chunks.segments; ++segment) {
    double* const own = scratch + 2 * segment * channels;
    for (int64_t c = 0; c < 2 * channels; ++c) own[c] = 0;
    for (int64_t chunk = chunks.firstOf(segment); chunk < chunks.firstOf(segment + 1); ++chunk) {
      const int64_t begin = chunks.begin(chunk), end = begin + chunks.size(chunk);
      for (int64_t base = 0; base < vectors; base += kVectorsTogether) {
        const int64_t count = least(kVectorsTogether, vectors - base);
        alignas(64) float sums[kVectorsTogether][4][kWidth] = {};
        for (int64_t row = begin; row < end; row += kRowsTogether) {
          for (int64_t vector = 0; vector < count; ++vector) {
            const int64_t first = least((base + vector) * kWidth, channels - kWidth), at = row * channels;
            addRows(both + 2 * (at + first), input + at + first, LaneNumbers(norm, first), left + 2 * at + first,
                    least(kRowsTogether, end - row), channels, sums[vector]);
          }
        }
        for (int64_t vector = 0; vector < count; ++vector) {
          const int64_t from = (base + vector) * kWidth, first = least(from, channels - kWidth);
          // What the last vector shares with the one before was added there.
          for (int64_t lane = from - first; lane < kWidth; ++lane) {
            own[first + lane] += static_cast<double>(sums[vector][0][lane] + sums[vector][1][lane]);
            own[channels + first + lane] += static_cast<double>(sums[vector][2][lane] + sums[vector][3][lane]);
          }
        }
      }
    }
  }
  for (int64_t c = 0; c < channels; ++c) sum[c] = product[c] = 0;
  for (int64_t segment = 0; segment < chunks.segments; ++segment) {
    const double* const own = scratch + 2 * segment * channels;
    for (int64_t c = 0; c < channels; ++c) {
      sum[c] += own[c];
      product[c] += own[channels + c];
    }
  }
}

template <typename E>
void differentiate(const BatchNormMaps& maps, const E* both, const E* input, const ShuffledNorm& norm, const float* factors,
                   const float* inclines, const float* offsets, E* result) {
  const int64_t channels = maps.channels;
  forVectors(maps, [=](int64_t row, int64_t first) __attribute__((always_inline)) {
    const LaneNumbers numbers(norm, first);
    const V factor = load<kWidth>(factors + first), incline = load<kWidth>(inclines + first), offset = load<kWidth>(offsets + first);
    const V gradient = loadShuffled(both + 2 * (row * channels + first)).right;
    const V difference = load<kWidth>(input + row * channels + first) - numbers.mean;
    const V masked = whereNotNegative<V>(difference * numbers.slope + numbers.bias, gradient);
    store<kWidth>(result + row * channels + first, masked * factor + (difference * incline + offset));
  });
}

template <typename Each>
void withType(const BatchNormMaps& maps, const Each& each) {
  if (maps.type == ElementType::kBFloat16) return each(BFloat16());
  each(float());
}

void forward(const BatchNormMaps& maps, const void* left, const void* input, const ShuffledNorm& norm, void* both) {
  withType(maps, [&](auto type) {
    using E = decltype(type);
    join(maps, static_cast<const E*>(left), static_cast<const E*>(input), norm, static_cast<E*>(both));
  });
}

void sums(const BatchNormMaps& maps, const void* both, const void* input, const ShuffledNorm& norm, void* left, double* scratch,
          double* sum, double* product) {
  withType(maps, [&](auto type) {
    using E = decltype(type);
    addUp(maps, static_cast<const E*>(both), static_cast<const E*>(input), norm, static_cast<E*>(left), scratch, sum, product);
  });
}

void inputGradient(const BatchNormMaps& maps, const void* both, const void* input, const ShuffledNorm& norm,
                   const float* factor, const float* incline, const float* offset, void* result) {
  withType(maps, [&](auto type) {
    using E = decltype(type);
    differentiate(maps, static_cast<const E*>(both), static_cast<const E*>(input), norm, factor, incline, offset,
                  static_cast<E*>(result));
  });
}

}  // namespace

extern const ShuffledNormKernels COHORT_JOIN(shuffledNormKernels_, COHORT_CAPABILITY);
const ShuffledNormKernels COHORT_JOIN(shuffledNormKernels_, COHORT_CAPABILITY) = {COHORT_TEXT(COHORT_CAPABILITY), kWidth, forward,
                                                                                  sums, inputGradient};

}  // namespace cohort
