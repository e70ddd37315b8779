// 1x1 convolutions as matrix products: weights packed into panels, a tile of the result in registers, and sums over channels
// in their order, one fused multiply-add (in bfloat16 one product of pairs) after the other. oneDNN 2.6 reaches 60 to 80% of
// the processor's peak where channels are few or no multiple of 16. The Makefile compiles this file for AVX-512 and AVX-512
// BF16.
#include "kernels/convolution/pointwise/pointwiseKernels.h"

#include "kernels/batchNorm/batchNormStatistics.h"
#include "kernels/convolution/pointwise/pointwiseSums.h"
#include "kernels/convolution/pointwise/pointwiseTiles.h"

namespace cohort {
namespace {

/// Pixels that stay in the caches while one panel of weights after the other passes over them: a multiple of all tiles' rows.
constexpr int64_t kBlockPixels = 96;
/// Maps that do not fit into the caches are worth asking for in advance.
constexpr int64_t kLargeMaps = 16 << 20;
/// More weights than this take too long to pack where there are few pixels.
constexpr int64_t kMostWeights = 1 << 19;

/// The gradient by the input is the same product as the convolution, with channels exchanged.
struct Product {
  int64_t pixels;
  int64_t depth;
  int64_t columns;
  /// From one weight to the next, by depth and by column.
  int64_t depthStride;
  int64_t columnStride;
  /// From one pixel to the next, on the left and in the result.
  int64_t leftStride;
  int64_t resultStride;
  int threads;
};

Product forwardOf(const PointwiseShape& shape) {
  return {shape.pixels, shape.inChannels, shape.outChannels, 1, shape.inChannels,
          shape.inStride, shape.outStride, shape.threads};
}
Product backwardOf(const PointwiseShape& shape) {
  return {shape.pixels, shape.outChannels, shape.inChannels, shape.inChannels, 1,
          shape.outStride, shape.inStride, shape.threads};
}

bool areFewWeights(const PointwiseShape& shape) {
  return shape.pixels > 0 && shape.inChannels * shape.outChannels <= kMostWeights;
}

/// Where oneDNN is slower, by measurement (docs/decisions/017).
bool pays(const PointwiseShape& shape, const Product& product) {
  if (!areFewWeights(shape) || product.depth < 16) return false;
#ifdef __AVX512BF16__
  if (shape.isNarrow) return product.depth % 2 == 0 && product.columns >= 24;
#endif
  return !shape.isNarrow && product.columns >= 48;
}

bool supports(const PointwiseShape& shape) { return pays(shape, forwardOf(shape)); }
bool supportsInputGradient(const PointwiseShape& shape) { return pays(shape, backwardOf(shape)); }
bool supportsWeightGradient(const PointwiseShape& shape) {
  const int64_t fewest = least(shape.inChannels, shape.outChannels);
  if (!areFewWeights(shape)) return false;
#ifdef __AVX512BF16__
  if (shape.isNarrow) return fewest >= 16;
#endif
  return !shape.isNarrow && fewest >= 48;
}

/// One panel after the other, [depth][vectors][kWidth] each.
void packWeights(const Product& product, const float* weight, float* packed) {
  const Panels panels(product.columns);
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const Columns columns = panels.columns(panel);
    for (int n = 0; n < columns.vectors; ++n) {
      for (int lane = 0; lane < kWidth; ++lane) {
        const float* from = weight + (columns.offsets[n] + lane) * product.columnStride;
        float* to = packed + n * kWidth + lane;
        for (int64_t k = 0; k < product.depth; ++k, from += product.depthStride, to += columns.vectors * kWidth) *to = *from;
      }
    }
    packed += product.depth * columns.vectors * kWidth;
  }
}

#ifdef __AVX512BF16__
/// The same for pairs of neighbours in depth, rounded to bfloat16.
void packWeights(const Product& product, const float* weight, Pair* packed) {
  const Panels panels(product.columns);
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const Columns columns = panels.columns(panel);
    for (int64_t k = 0; k < product.depth; k += 2) {
      for (int n = 0; n < columns.vectors; ++n, packed += kWidth) {
        V pair[2];
        for (int i = 0; i < 2; ++i) {
          const float* const from = weight + columns.offsets[n] * product.columnStride + (k + i) * product.depthStride;
          float numbers[kWidth];
          for (int lane = 0; lane < kWidth; ++lane) numbers[lane] = from[lane * product.columnStride];
          pair[i] = load<kWidth>(numbers);
        }
        BFloat16 narrow[2][kWidth];
        for (int i = 0; i < 2; ++i) store<kWidth>(narrow[i], pair[i]);
        for (int lane = 0; lane < kWidth; ++lane) {
          packed[lane].bits = narrow[0][lane].bits | static_cast<uint32_t>(narrow[1][lane].bits) << 16;
        }
      }
    }
  }
}
#endif

/// Some pixels of one panel. `fetches` says whether the block that comes next is asked for, from left and result.
struct Fetches {
  bool left;
  bool result;
};
template <int kVectors, typename P, typename E>
void multiplyRows(int64_t rows, int64_t depth, const P* left, int64_t leftStride, const P* panel, const Columns& columns,
                  const Addends<E>& addends, int64_t stride, const Fetches& fetches, E* result) {
  constexpr int kRows = rowsOf(kVectors);
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) {
    if (fetches.left) fetch<false>(left + (row + kBlockPixels) * leftStride, kRows * leftStride * sizeof(P));
    if (fetches.result) fetch<true>(result + (row + kBlockPixels) * stride, kRows * stride * sizeof(E));
    multiplyTile<kVectors, kRows>(depth, left + row * leftStride, leftStride, panel, columns, addends.from(row, stride), stride, result + row * stride);
  }
  if (row == rows) return;
  if (rows >= kRows) {
    // The last rows again: those before are computed twice.
    row = rows - kRows;
    return multiplyTile<kVectors, kRows>(depth, left + row * leftStride, leftStride, panel, columns, addends.from(row, stride), stride,
                                         result + row * stride);
  }
  for (; row < rows; ++row) {
    multiplyTile<kVectors, 1>(depth, left + row * leftStride, leftStride, panel, columns, addends.from(row, stride), stride, result + row * stride);
  }
}

/// result[p] = left[p] times the weights, and what is added; of pairs, `depth` and `leftStride` count pairs.
template <typename P, typename E>
struct Multiplication {
  Multiplication(const Product& given, const P* from, const P* weights, const Addends<E>& added, E* to)
      : product(given),
        depth(given.depth * static_cast<int64_t>(sizeof(E)) / static_cast<int64_t>(sizeof(P))),
        leftStride(given.leftStride * static_cast<int64_t>(sizeof(E)) / static_cast<int64_t>(sizeof(P))),
        isLarge(given.pixels * (given.depth + given.columns) * static_cast<int64_t>(sizeof(E)) > kLargeMaps),
        blocks((given.pixels + kBlockPixels - 1) / kBlockPixels),
        panels(given.columns),
        left(from),
        packed(weights),
        addends(added),
        result(to) {}

  int64_t first(int64_t block) const { return block * kBlockPixels; }
  int64_t rows(int64_t block) const { return least(kBlockPixels, product.pixels - first(block)); }

  void run(int64_t block) const {
    const int64_t pixel = first(block);
    const bool fetches = isLarge && pixel + 2 * kBlockPixels <= product.pixels;
    const P* panel = packed;
    for (int64_t p = 0; p < panels.count; ++p) {
      const Columns columns = panels.columns(p);
      withVectors(columns.vectors, [&](auto count) {
        multiplyRows<decltype(count)::value>(rows(block), depth, left + pixel * leftStride, leftStride, panel, columns,
                                             addends.from(pixel, product.resultStride), product.resultStride,
                                             {fetches && p == 0, fetches && p + 1 == panels.count},
                                             result + pixel * product.resultStride);
      });
      panel += depth * columns.vectors * kWidth;
    }
  }

  const Product& product;
  int64_t depth;
  int64_t leftStride;
  bool isLarge;
  int64_t blocks;
  Panels panels;
  const P* left;
  const P* packed;
  const Addends<E>& addends;
  E* result;
};

template <typename P, typename E>
void multiply(const Multiplication<P, E>& work) {
  const int threads = static_cast<int>(most(1, least(work.product.threads, work.blocks)));
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t block = 0; block < work.blocks; ++block) work.run(block);
}

/// The same with statistics of the result, whose blocks are read while they are in the first cache. Blocks are cut into
/// segments by their number alone.
template <typename P, typename E>
void multiplyAndMeasure(const Multiplication<P, E>& work, const PointwiseStatistics& statistics) {
  const int64_t channels = work.product.columns, segments = least(work.blocks, BatchNormKernels::kMostSegments);
  const auto firstOf = [&](int64_t segment) { return segment * work.blocks / segments; };
  const int threads = static_cast<int>(most(1, least(work.product.threads, segments)));
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t segment = 0; segment < segments; ++segment) {
    double* const mean = statistics.scratch + 2 * segment * channels;
    double* const squares = mean + channels;
    for (int64_t c = 0; c < 2 * channels; ++c) mean[c] = 0;
    int64_t before = 0;
    for (int64_t block = firstOf(segment); block < firstOf(segment + 1); ++block) {
      work.run(block);
      const int64_t rows = work.rows(block);
      const Merge merge(before, rows);
      mergeRows(work.result + work.first(block) * work.product.resultStride, rows, channels, merge, mean, squares);
      before += rows;
    }
  }
  mergeSegments(segments, channels, statistics.scratch,
                [&](int64_t segment) { return least(work.product.pixels, work.first(firstOf(segment))); }, statistics.mean,
                statistics.squares);
}

template <typename P, typename E>
void multiply(const Multiplication<P, E>& work, const PointwiseStatistics* statistics) {
  if (statistics == nullptr) return multiply(work);
  multiplyAndMeasure(work, *statistics);
}

/// Packed weights, in bytes.
int64_t packedBytes(const Product& product) { return product.depth * Panels(product.columns).padded() * 4; }

int64_t scratchBytes(const PointwiseShape& shape) {
  return most(packedBytes(forwardOf(shape)), packedBytes(backwardOf(shape)));
}

void run(const Product& product, bool isNarrow, const void* left, const float* weight, const PointwiseAddends& addends,
         void* scratch, void* result, const PointwiseStatistics* statistics) {
#ifdef __AVX512BF16__
  if (isNarrow) {
    auto* const packed = static_cast<Pair*>(scratch);
    packWeights(product, weight, packed);
    const Addends<BFloat16> added{addends.shift, static_cast<const BFloat16*>(addends.map), addends.slope};
    return multiply(Multiplication<Pair, BFloat16>(product, static_cast<const Pair*>(left), packed, added,
                                                   static_cast<BFloat16*>(result)),
                    statistics);
  }
#endif
  auto* const packed = static_cast<float*>(scratch);
  packWeights(product, weight, packed);
  const Addends<float> added{addends.shift, static_cast<const float*>(addends.map), addends.slope};
  multiply(Multiplication<float, float>(product, static_cast<const float*>(left), packed, added, static_cast<float*>(result)),
           statistics);
}

void convolution(const PointwiseShape& shape, const void* input, const float* weight, const float* shift, void* scratch,
                 void* output, const PointwiseStatistics* statistics) {
  run(forwardOf(shape), shape.isNarrow, input, weight, {shift, nullptr, nullptr}, scratch, output, statistics);
}

void inputGradient(const PointwiseShape& shape, const void* gradient, const float* weight, const PointwiseAddends& addends,
                   void* scratch, void* result) {
  run(backwardOf(shape), shape.isNarrow, gradient, weight, addends, scratch, result, nullptr);
}

void weightGradient(const PointwiseShape& shape, const void* gradient, const void* input, void* scratch, float* result,
                    float* sums) {
  auto* const numbers = static_cast<float*>(scratch);
#ifdef __AVX512BF16__
  if (shape.isNarrow) {
    return differentiate(shape, static_cast<const BFloat16*>(gradient), static_cast<const BFloat16*>(input), numbers, result,
                         sums);
  }
#endif
  differentiate(shape, static_cast<const float*>(gradient), static_cast<const float*>(input), numbers, result, sums);
}

/// As the product sees a weight: rounded where maps are narrow.
COHORT_INLINE V rounded(V value, bool isNarrow) {
  if (!isNarrow) return value;
  BFloat16 narrow[kWidth];
  store<kWidth>(narrow, value);
  return load<kWidth>(narrow);
}

/// With the rounded weights, so that the mean is taken off exactly.
void fold(const PointwiseShape& shape, const float* weight, const PointwiseNorm& norm, float* folded, float* shift) {
  const int64_t channels = shape.inChannels;
  const Panels panels(channels);
  for (int64_t o = 0; o < shape.outChannels; ++o, weight += channels, folded += channels) {
    V sum{};
    for (int64_t vector = 0; vector < panels.vectors; ++vector) {
      const int64_t first = panels.offset(vector), skipped = vector * kWidth - first;
      const V given = load<kWidth>(weight + first), product = given * load<kWidth>(norm.slope + first);
      store<kWidth>(folded + first, product);
      V part = given * load<kWidth>(norm.bias + first) - rounded(product, shape.isNarrow) * load<kWidth>(norm.mean + first);
      // What the last vector shares with the one before was added there.
      for (int64_t lane = 0; lane < skipped; ++lane) part[lane] = 0;
      sum += part;
    }
    shift[o] = static_cast<float>(total<kWidth>(sum));
  }
}

/// gradient[o][i] is the sum of gradient[o] times (normalised i), and so on: everything follows from the sums there are.
void unfold(const PointwiseShape& shape, const float* weight, const PointwiseNorm& norm, const float* sums, float* gradient,
            double* sum, double* product) {
  const int64_t channels = shape.inChannels;
  for (int64_t i = 0; i < channels; ++i) sum[i] = product[i] = 0;
  for (int64_t o = 0; o < shape.outChannels; ++o, weight += channels, gradient += channels) {
    const float own = sums[o];
    for (int64_t i = 0; i < channels; ++i) {
      const float centred = gradient[i] - own * norm.mean[i];
      sum[i] += static_cast<double>(weight[i] * own);
      product[i] += static_cast<double>(weight[i] * centred);
      gradient[i] = norm.slope[i] * centred + norm.bias[i] * own;
    }
  }
}

}  // namespace

extern const PointwiseKernels COHORT_JOIN(pointwiseKernels_, COHORT_CAPABILITY);
const PointwiseKernels COHORT_JOIN(pointwiseKernels_, COHORT_CAPABILITY) = {
    COHORT_TEXT(COHORT_CAPABILITY), supports,    supportsInputGradient, supportsWeightGradient, scratchBytes,
    weightGradientScratchBytes,     convolution, inputGradient,         weightGradient,         fold,
    unfold};

}  // namespace cohort
