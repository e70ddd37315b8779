// 1x1 convolutions as matrix products: weights packed into panels, a tile of the result in registers, and sums over channels
// in their order, one fused multiply-add (in bfloat16 one product of pairs) after the other. oneDNN 2.6 reaches 60 to 80% of
// the processor's peak where channels are few or no multiple of 16. The Makefile compiles this file for AVX-512 and AVX-512
// BF16.
#include "kernels/convolution/pointwise/pointwiseKernels.h"

#ifdef COHORT_OPENMP
#include <omp.h>
#endif

#include "kernels/batchNorm/batchNormStatistics.h"
#include "kernels/convolution/pointwise/pointwiseTiles.h"

namespace cohort {
namespace {

/// Pixels that stay in the caches while one panel of weights after the other passes over them: a multiple of all tiles' rows.
constexpr int64_t kBlockPixels = 96;
/// Pixels whose weight gradients are added up before sums go back to memory.
constexpr int64_t kSumPixels = 128;
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

inline int64_t threadNumber() {
#ifdef COHORT_OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

/// Asks for memory that is read or written soon.
template <bool kIsWritten>
COHORT_INLINE void fetch(const void* memory, int64_t bytes) {
  const char* const from = static_cast<const char*>(memory);
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, kIsWritten ? 1 : 0, 2);
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
    shift[o] = static_cast<float>(total<kWidth, float>(sum));
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
