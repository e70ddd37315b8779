// The weight gradient of a 1x1 convolution: products of the gradient with the input are summed over pixels, some of which share
// a block, in parts that are added up at the end.
#pragma once

#include "kernels/convolution/pointwise/pointwiseKernels.h"
#include "kernels/convolution/pointwise/pointwiseTiles.h"
#include "kernels/threadNumber.h"

namespace cohort {
namespace {

/// Pixels whose weight gradients are added up before sums go back to memory.
constexpr int64_t kSumPixels = 128;

/// How a weight gradient is cut, by the shape alone. The matrix with more channels is the right one, whose channels come in
/// vectors.
struct Sums {
  explicit Sums(const PointwiseShape& shape)
      : isInputRight(shape.inChannels >= shape.outChannels),
        left(isInputRight ? shape.outChannels : shape.inChannels),
        right(isInputRight ? shape.inChannels : shape.outChannels),
        leftStride(isInputRight ? shape.outStride : shape.inStride),
        rightStride(isInputRight ? shape.inStride : shape.outStride),
        gradient(shape.outChannels),
        padded(right.padded()),
        blocks((shape.pixels + kSumPixels - 1) / kSumPixels),
        chunks(least(blocks, left * padded <= 16384 ? 16 : left * padded <= 65536 ? 8 : 4)),
        threads(most(1, least(shape.threads, chunks))) {}
  int64_t firstBlockOf(int64_t chunk) const { return chunk * blocks / chunks; }
  /// Numbers that a chunk is summed in: those of the weights, and those of the gradient alone, a vector after the other.
  int64_t numbers() const { return left * padded + gradient.padded(); }
  /// Of pairs of pixels, that a thread packs at a time.
  int64_t pairs() const { return (kSumPixels / 2) * (left + right.channels); }

  bool isInputRight;
  int64_t left;
  Panels right;
  /// From one pixel to the next.
  int64_t leftStride;
  int64_t rightStride;
  Panels gradient;
  int64_t padded;
  int64_t blocks;
  /// Parts that are summed apart.
  int64_t chunks;
  int64_t threads;
};

int64_t weightGradientScratchBytes(const PointwiseShape& shape) {
  const Sums sums(shape);
  return 4 * (sums.chunks * sums.numbers() + (shape.isNarrow ? sums.threads * sums.pairs() : 0));
}

/// Memory that is asked for bit by bit, while something else is computed.
struct Ahead {
  /// Part number `part` of so many.
  COHORT_INLINE void fetchPart(int64_t part, int64_t parts) const {
    for (int m = 0; m < 2; ++m) {
      const int64_t begin = part * bytes[m] / parts;
      fetch<false>(memory[m] + begin, (part + 1) * bytes[m] / parts - begin);
    }
  }
  const char* memory[2];
  int64_t bytes[2];
};

/// Rows of both matrices, and how far they are from each other.
template <typename P>
struct Rows {
  const P* left;
  int64_t leftStride;
  const P* right;
  int64_t rightStride;
};

/// What `depth` rows add to the sums, [left][padded].
template <typename P>
void addBlock(const Sums& sums, int64_t depth, const Rows<P>& rows, const Ahead& ahead, float* numbers) {
  for (int64_t panel = 0; panel < sums.right.count; ++panel) {
    const Columns columns = sums.right.columns(panel);
    withVectors(columns.vectors, [&](auto count) {
      constexpr int kVectors = decltype(count)::value, kRows = rowsOf(kVectors);
      const int64_t groups = (sums.left + kRows - 1) / kRows;
      float* const to = numbers + sums.right.first(panel) * kWidth;
      for (int64_t group = 0; group < groups; ++group) {
        if (panel == 0) ahead.fetchPart(group, groups);
        const int64_t first = group * sums.left / groups, last = (group + 1) * sums.left / groups;
        addRows<kVectors, kRows, P>(last - first, depth, rows.left + first, rows.leftStride, rows.right, rows.rightStride,
                                    columns, sums.padded, to + first * sums.padded);
      }
    });
  }
}

/// The sums of the gradient alone follow those of the weights.
template <typename P>
void addGradient(const Sums& sums, int64_t depth, const Rows<P>& rows, float* numbers) {
  const P* const gradient = sums.isInputRight ? rows.left : rows.right;
  for (int64_t vector = 0; vector < sums.gradient.vectors; ++vector) {
    addColumns(depth, gradient + sums.gradient.offset(vector), sums.isInputRight ? rows.leftStride : rows.rightStride,
               numbers + sums.left * sums.padded + vector * kWidth);
  }
}

void addPixels(const Sums& sums, int64_t pixels, const float* left, const float* right, const Ahead& ahead, Pair*,
               bool alone, float* numbers) {
  const Rows<float> rows{left, sums.leftStride, right, sums.rightStride};
  addBlock(sums, pixels, rows, ahead, numbers);
  if (alone) addGradient(sums, pixels, rows, numbers);
}

#ifdef __AVX512BF16__
/// Pixels two by two, as pairs of the same channel; one that is left over gets zeros beside it.
void pairPixels(int64_t pixels, int64_t channels, const BFloat16* from, int64_t stride, Pair* to) {
  constexpr int64_t kNumbers = 2 * kWidth;
  if (pixels % 2 == 0 && channels >= kNumbers) {
    // Two vectors of pairs at a time; the last ones overlap those before.
    alignas(64) uint16_t places[2][kNumbers];
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < kNumbers; ++i) places[half][i] = static_cast<uint16_t>(half * kWidth + i / 2 + i % 2 * kNumbers);
    }
    const __m512i lower = _mm512_load_si512(places[0]), upper = _mm512_load_si512(places[1]);
    for (int64_t pixel = 0; pixel < pixels; pixel += 2, from += 2 * stride, to += channels) {
      for (int64_t c = 0; c < channels; c += kNumbers) {
        const int64_t first = least(c, channels - kNumbers);
        const __m512i even = _mm512_loadu_si512(from + first), odd = _mm512_loadu_si512(from + stride + first);
        _mm512_storeu_si512(to + first, _mm512_permutex2var_epi16(even, lower, odd));
        _mm512_storeu_si512(to + first + kWidth, _mm512_permutex2var_epi16(even, upper, odd));
      }
    }
    return;
  }
  using Bits = Vector<uint32_t, kWidth>;
  const auto widened = [](const BFloat16* pixel) __attribute__((always_inline)) {
    Vector<uint16_t, kWidth> bits;
    memcpy(&bits, pixel, sizeof(bits));
    return __builtin_convertvector(bits, Bits);
  };
  for (int64_t pixel = 0; pixel < pixels; pixel += 2, from += 2 * stride, to += channels) {
    for (int64_t c = 0; c < channels; c += kWidth) {
      const int64_t first = least(c, channels - kWidth);
      const Bits even = widened(from + first), odd = pixel + 1 < pixels ? widened(from + stride + first) : Bits{};
      const Bits pair = even | odd << 16;
      memcpy(to + first, &pair, sizeof(pair));
    }
  }
}

void addPixels(const Sums& sums, int64_t pixels, const BFloat16* left, const BFloat16* right, const Ahead& ahead, Pair* mine,
               bool alone, float* numbers) {
  Pair* const others = mine + kSumPixels / 2 * sums.left;
  pairPixels(pixels, sums.left, left, sums.leftStride, mine);
  pairPixels(pixels, sums.right.channels, right, sums.rightStride, others);
  const Rows<Pair> rows{mine, sums.left, others, sums.right.channels};
  addBlock(sums, (pixels + 1) / 2, rows, ahead, numbers);
  if (alone) addGradient(sums, (pixels + 1) / 2, rows, numbers);
}
#endif

template <typename E>
void differentiate(const PointwiseShape& shape, const E* gradient, const E* input, float* scratch, float* result,
                   float* gradientSums) {
  const Sums sums(shape);
  const E* const left = sums.isInputRight ? gradient : input;
  const E* const right = sums.isInputRight ? input : gradient;
  const int64_t numbers = sums.numbers(), columns = sums.right.channels;
  auto* const pairs = reinterpret_cast<Pair*>(scratch + sums.chunks * numbers);
  const int threads = static_cast<int>(sums.threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    Pair* const mine = pairs + threadNumber() * sums.pairs();
#pragma omp for schedule(static)
    for (int64_t chunk = 0; chunk < sums.chunks; ++chunk) {
      float* const part = scratch + chunk * numbers;
      for (int64_t i = 0; i < numbers; i += kWidth) store<kWidth>(part + i, V{});
      for (int64_t block = sums.firstBlockOf(chunk); block < sums.firstBlockOf(chunk + 1); ++block) {
        const int64_t first = block * kSumPixels, pixels = least(kSumPixels, shape.pixels - first), next = first + kSumPixels;
        const int64_t after = least(kSumPixels, shape.pixels - first - pixels) * static_cast<int64_t>(sizeof(E));
        const Ahead ahead{{reinterpret_cast<const char*>(left + next * sums.leftStride),
                           reinterpret_cast<const char*>(right + next * sums.rightStride)},
                          {after * sums.leftStride, after * sums.rightStride}};
        addPixels(sums, pixels, left + first * sums.leftStride, right + first * sums.rightStride, ahead, mine,
                  gradientSums != nullptr, part);
      }
    }
#pragma omp for schedule(static)
    for (int64_t row = 0; row < sums.left; ++row) {
      for (int64_t vector = 0; vector < sums.right.vectors; ++vector) {
        V sum{};
        for (int64_t chunk = 0; chunk < sums.chunks; ++chunk) {
          sum += load<kWidth>(scratch + chunk * numbers + row * sums.padded + vector * kWidth);
        }
        const int64_t first = sums.right.offset(vector);
        if (sums.isInputRight) {
          store<kWidth>(result + row * columns + first, sum);
          continue;
        }
        for (int lane = 0; lane < kWidth; ++lane) result[(first + lane) * sums.left + row] = sum[lane];
      }
    }
  }
  if (gradientSums == nullptr) return;
  for (int64_t vector = 0; vector < sums.gradient.vectors; ++vector) {
    V sum{};
    for (int64_t chunk = 0; chunk < sums.chunks; ++chunk) {
      sum += load<kWidth>(scratch + chunk * numbers + sums.left * sums.padded + vector * kWidth);
    }
    store<kWidth>(gradientSums + sums.gradient.offset(vector), sum);
  }
}

}  // namespace
}  // namespace cohort
