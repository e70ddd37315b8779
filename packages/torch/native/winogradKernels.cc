// Winograd's convolution F(2x2, 3x3) of float32 maps (Lavin and Gray, arXiv 1509.09308): a tile of 4x4 input pixels gives
// 2x2 output pixels with 16 products for every pair of channels, where the definition takes 36. All constants are 1 and 1/2,
// so that rounding errors are those of the definition. Input, products and results of a few tiles stay in the second-level
// cache. The Makefile compiles this file for AVX2 and for AVX-512, with fused multiply-add.
#include "winogradKernels.h"

#ifdef COHORT_OPENMP
#include <omp.h>
#endif

#include "vectors.h"

namespace cohort {
namespace {

#ifdef __AVX512F__
constexpr int kWidth = 16;
/// Tiles whose products are in registers at a time.
constexpr int64_t kTileRows = 8;
#else
constexpr int kWidth = 8;
constexpr int64_t kTileRows = 6;
#endif
/// Tiles that are worked on together: a multiple of every kTileRows, so that all processors sum in the same order.
constexpr int64_t kBlockTiles = 48;
using V = Vector<float, kWidth>;

/// Products of transformed numbers: one for each of the 4x4 positions in a tile.
constexpr int64_t kPositions = 16;
/// Channels come in vectors of this, whatever the processor.
constexpr int64_t kChannels = 16;
/// Keeps positions off each other's cache sets.
constexpr int64_t kPadding = 16;

inline int64_t least(int64_t left, int64_t right) { return left < right ? left : right; }
inline int64_t most(int64_t left, int64_t right) { return left > right ? left : right; }

/// How the work is cut, by the shape alone.
struct Plan {
  explicit Plan(const WinogradShape& shape)
      : tileRows((shape.height + 1) / 2),
        tileColumns((shape.width + 1) / 2),
        tiles(shape.batch * tileRows * tileColumns),
        blocks((tiles + kBlockTiles - 1) / kBlockTiles),
        chunks(least(blocks, 8)),
        inStride(kBlockTiles * shape.inChannels + kPadding),
        outStride(kBlockTiles * shape.outChannels + kPadding),
        products(kPositions * shape.inChannels * shape.outChannels),
        threads(most(1, least(shape.threads, blocks))),
        zeros(most(shape.inChannels, shape.outChannels)) {}
  int64_t threadNumbers() const { return kPositions * (inStride + outStride); }

  int64_t tileRows;
  int64_t tileColumns;
  int64_t tiles;
  int64_t blocks;
  /// Parts of a weight gradient that are summed apart.
  int64_t chunks;
  /// From one position to the next, of transformed input and of products.
  int64_t inStride;
  int64_t outStride;
  int64_t products;
  int64_t threads;
  int64_t zeros;
};

struct Tile {
  int64_t image;
  int64_t row;
  int64_t column;
};

inline Tile tileAt(const Plan& plan, int64_t index) {
  const int64_t row = index / plan.tileColumns;
  return {row / plan.tileRows, row % plan.tileRows, index % plan.tileColumns};
}

inline void advance(const Plan& plan, Tile& tile) {
  if (++tile.column < plan.tileColumns) return;
  tile.column = 0;
  if (++tile.row < plan.tileRows) return;
  tile.row = 0;
  ++tile.image;
}

/// One dimension of B^T d B.
COHORT_INLINE void spreadInput(V d0, V d1, V d2, V d3, V (&to)[4]) {
  to[0] = d0 - d2;
  to[1] = d1 + d2;
  to[2] = d2 - d1;
  to[3] = d1 - d3;
}

/// Transforms 4x4 input pixels, `pixel(y, x)`, of a tile: `to[position * stride + channel]`.
template <typename Pixel>
COHORT_INLINE void transformPixels(int64_t channels, int64_t stride, float* to, const Pixel& pixel) {
  for (int64_t channel = 0; channel < channels; channel += kWidth) {
    V rows[4][4];
    for (int x = 0; x < 4; ++x) {
      const auto at = [&](int y) { return load<kWidth>(pixel(y, x) + channel); };
      V spread[4];
      spreadInput(at(0), at(1), at(2), at(3), spread);
      for (int y = 0; y < 4; ++y) rows[y][x] = spread[y];
    }
    for (int y = 0; y < 4; ++y) {
      V spread[4];
      spreadInput(rows[y][0], rows[y][1], rows[y][2], rows[y][3], spread);
      for (int x = 0; x < 4; ++x) store<kWidth>(to + (y * 4 + x) * stride + channel, spread[x]);
    }
  }
}

/// Transforms the input of one tile; `zeros` are the pixels around a map.
void transformInput(const WinogradShape& shape, const Tile& tile, const float* input, const float* zeros, int64_t stride,
                    float* to) {
  const int64_t channels = shape.inChannels, top = 2 * tile.row - 1, left = 2 * tile.column - 1;
  const int64_t line = shape.width * channels;
  const float* const start = input + (tile.image * shape.height + top) * line + left * channels;
  if (top >= 0 && left >= 0 && top + 3 < shape.height && left + 3 < shape.width) {
    return transformPixels(channels, stride, to, [&](int y, int x) { return start + y * line + x * channels; });
  }
  const float* pixels[4][4];
  for (int64_t y = 0; y < 4; ++y) {
    const bool isInside = top + y >= 0 && top + y < shape.height;
    for (int64_t x = 0; x < 4; ++x) {
      pixels[y][x] =
          isInside && left + x >= 0 && left + x < shape.width ? start + y * line + x * channels : zeros;
    }
  }
  transformPixels(channels, stride, to, [&](int y, int x) { return pixels[y][x]; });
}

/// Sums the 4x4 products of a tile to its 2x2 output pixels, A^T m A.
template <bool kIsPlain, bool kIsWhole>
COHORT_INLINE void transformProducts(const WinogradShape& shape, const Tile& tile, const float* products, int64_t stride,
                                     const WinogradFinish& finish, float* output) {
  const int64_t channels = shape.outChannels, line = shape.width * channels;
  const int64_t rows = kIsWhole ? 2 : least(2, shape.height - 2 * tile.row);
  const int64_t columns = kIsWhole ? 2 : least(2, shape.width - 2 * tile.column);
  const int64_t start = (tile.image * shape.height + 2 * tile.row) * line + 2 * tile.column * channels;
  for (int64_t channel = 0; channel < channels; channel += kWidth) {
    V sums[2][4];
    for (int x = 0; x < 4; ++x) {
      const auto at = [&](int y) { return load<kWidth>(products + (y * 4 + x) * stride + channel); };
      const V m1 = at(1), m2 = at(2);
      sums[0][x] = at(0) + m1 + m2;
      sums[1][x] = m1 - m2 - at(3);
    }
    for (int64_t y = 0; y < rows; ++y) {
      const V pair[2] = {sums[y][0] + sums[y][1] + sums[y][2], sums[y][1] - sums[y][2] - sums[y][3]};
      for (int64_t x = 0; x < columns; ++x) {
        const int64_t at = start + y * line + x * channels + channel;
        V value = pair[x];
        if (!kIsPlain) {
          if (finish.bias != nullptr) value += load<kWidth>(finish.bias + channel);
          if (finish.residual != nullptr) value += load<kWidth>(finish.residual + at);
          if (finish.rectifies) value = whereNotNegative(value, value);
        }
        store<kWidth>(output + at, value);
      }
    }
  }
}

void transformOutput(const WinogradShape& shape, const Tile& tile, const float* products, int64_t stride,
                     const WinogradFinish& finish, float* output) {
  const bool isPlain = finish.bias == nullptr && finish.residual == nullptr && !finish.rectifies;
  const bool isWhole = 2 * tile.row + 1 < shape.height && 2 * tile.column + 1 < shape.width;
  if (!isWhole) return transformProducts<false, false>(shape, tile, products, stride, finish, output);
  if (!isPlain) return transformProducts<false, true>(shape, tile, products, stride, finish, output);
  transformProducts<true, true>(shape, tile, products, stride, finish, output);
}

/// Spreads the 2x2 gradient pixels of a tile to 4x4 positions, A g A^T.
void transformGradient(const WinogradShape& shape, const Tile& tile, const float* gradient, const float* zeros,
                       int64_t stride, float* to) {
  const int64_t channels = shape.outChannels;
  const float* pixels[2][2];
  for (int64_t y = 0; y < 2; ++y) {
    for (int64_t x = 0; x < 2; ++x) {
      const int64_t row = 2 * tile.row + y, column = 2 * tile.column + x;
      pixels[y][x] = row < shape.height && column < shape.width
                         ? gradient + ((tile.image * shape.height + row) * shape.width + column) * channels
                         : zeros;
    }
  }
  for (int64_t channel = 0; channel < channels; channel += kWidth) {
    V rows[4][2];
    for (int x = 0; x < 2; ++x) {
      const V first = load<kWidth>(pixels[0][x] + channel), second = load<kWidth>(pixels[1][x] + channel);
      rows[0][x] = first;
      rows[1][x] = first + second;
      rows[2][x] = first - second;
      rows[3][x] = -second;
    }
    for (int y = 0; y < 4; ++y) {
      float* const row = to + y * 4 * stride + channel;
      store<kWidth>(row, rows[y][0]);
      store<kWidth>(row + stride, rows[y][0] + rows[y][1]);
      store<kWidth>(row + 2 * stride, rows[y][0] - rows[y][1]);
      store<kWidth>(row + 3 * stride, -rows[y][1]);
    }
  }
}

/// Transforms one 3x3 kernel of a vector of channels, G g G^T; taps lie `stride` apart.
COHORT_INLINE void transformKernel(const float* taps, int64_t stride, bool isTurned, V (&to)[kPositions]) {
  V rows[4][3];
  const auto at = [&](int y, int x) { return load<kWidth>(taps + (isTurned ? 8 - 3 * y - x : 3 * y + x) * stride); };
  for (int x = 0; x < 3; ++x) {
    const V g0 = at(0, x), g1 = at(1, x), g2 = at(2, x);
    rows[0][x] = g0;
    rows[1][x] = 0.5f * (g0 + g2 + g1);
    rows[2][x] = 0.5f * (g0 + g2 - g1);
    rows[3][x] = g2;
  }
  for (int y = 0; y < 4; ++y) {
    to[4 * y] = rows[y][0];
    to[4 * y + 1] = 0.5f * (rows[y][0] + rows[y][2] + rows[y][1]);
    to[4 * y + 2] = 0.5f * (rows[y][0] + rows[y][2] - rows[y][1]);
    to[4 * y + 3] = rows[y][2];
  }
}

/// Transformed weights lie as [position][outChannels / panel][inChannels][panel].
inline int64_t panelOf(int64_t outChannels) { return outChannels % 32 == 0 && kWidth == 16 ? 32 : 16; }

/// The share of one thread in transforming the weights.
void transformWeights(const WinogradShape& shape, const float* weight, bool isTurned, int64_t first, int64_t last,
                      float* to) {
  const int64_t in = shape.inChannels, out = shape.outChannels, panel = panelOf(out);
  const auto place = [&](int64_t i, int64_t o) { return ((o / panel) * in + i) * panel + o % panel; };
  V spread[kPositions];
  if (isTurned) {
    for (int64_t i = first; i < last; ++i) {
      for (int64_t o = 0; o < out; o += kWidth) {
        transformKernel(weight + i * 9 * out + o, out, true, spread);
        for (int p = 0; p < kPositions; ++p) store<kWidth>(to + p * in * out + place(i, o), spread[p]);
      }
    }
    return;
  }
  // Vectors of input channels become rows of output channels.
  for (int64_t i = first; i < last; i += kWidth) {
    for (int64_t o = 0; o < out; ++o) {
      transformKernel(weight + o * 9 * in + i, in, false, spread);
      for (int p = 0; p < kPositions; ++p) {
        float* const start = to + p * in * out;
        for (int j = 0; j < kWidth; ++j) start[place(i + j, o)] = spread[p][j];
      }
    }
  }
}

/// out[r][k] = sum over c of left[r][c] right[c][k], for kRows rows and kVectors vectors.
template <int kRows, int kVectors, int kDepth>
COHORT_INLINE void multiply(int64_t channels, const float* left, const float* right, float* out, int64_t outStride) {
  const int64_t depth = kDepth > 0 ? kDepth : channels;
  V sums[kRows][kVectors] = {};
  for (int64_t c = 0; c < depth; ++c) {
    V values[kVectors];
    for (int k = 0; k < kVectors; ++k) values[k] = load<kWidth>(right + (c * kVectors + k) * kWidth);
    for (int r = 0; r < kRows; ++r) {
      const float factor = left[r * depth + c];
      for (int k = 0; k < kVectors; ++k) sums[r][k] += values[k] * factor;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int k = 0; k < kVectors; ++k) store<kWidth>(out + r * outStride + k * kWidth, sums[r][k]);
  }
}

/// All products of a block of tiles; kDepth is the number of input channels, or 0 for any.
template <int kDepth>
void multiplyBlock(const WinogradShape& shape, const Plan& plan, const float* transformed, const float* weights,
                   float* products) {
  const int64_t in = shape.inChannels, out = shape.outChannels, panel = panelOf(out);
  for (int64_t p = 0; p < kPositions; ++p) {
    for (int64_t o = 0; o < out; o += panel) {
      const float* const right = weights + (p * out + o) * in;
      const float* const left = transformed + p * plan.inStride;
      float* const to = products + p * plan.outStride + o;
      if (kWidth == 8 || panel == 32) {
        for (int64_t r = 0; r < kBlockTiles; r += kTileRows) {
          multiply<kTileRows, 2, kDepth>(in, left + r * in, right, to + r * out, out);
        }
      } else {
        for (int64_t r = 0; r < kBlockTiles; r += 8) multiply<8, 1, kDepth>(in, left + r * in, right, to + r * out, out);
      }
    }
  }
}

/// Fewer tiles do not repay the transformation of the weights, nor do weights that leave the cache.
bool supports(const WinogradShape& shape) {
  return shape.inChannels % kChannels == 0 && shape.outChannels % kChannels == 0 && shape.batch > 0 && shape.height > 1 &&
         shape.width > 1 && Plan(shape).tiles >= 2 * kBlockTiles && shape.inChannels * shape.outChannels <= 256 * 256;
}

bool supportsWeightGradient(const WinogradShape& shape) {
  return supports(shape) && shape.inChannels * shape.outChannels <= 128 * 128;
}

int64_t scratchBytes(const WinogradShape& shape) {
  const Plan plan(shape);
  return 4 * (plan.zeros + plan.chunks * plan.products + plan.threads * plan.threadNumbers());
}

/// Zeros stand for the pixels around the maps and for the tiles after the last.
inline void clear(float* numbers, int64_t count) {
  for (int64_t i = 0; i < count; i += kWidth) store<kWidth>(numbers + i, V{});
}

inline int64_t threadNumber() {
#ifdef COHORT_OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

void convolution(const WinogradShape& shape, const float* input, const float* weight, bool isTurned,
                 const WinogradFinish& finish, void* scratch, float* output) {
  const Plan plan(shape);
  auto* const zeros = static_cast<float*>(scratch);
  float* const weights = zeros + plan.zeros;
  float* const rest = weights + plan.products;
  clear(zeros, plan.zeros);
  const int threads = static_cast<int>(plan.threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    float* const transformed = rest + threadNumber() * plan.threadNumbers();
    float* const products = transformed + kPositions * plan.inStride;
    clear(transformed, kPositions * plan.inStride);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < shape.inChannels; i += kWidth) transformWeights(shape, weight, isTurned, i, i + kWidth, weights);
#pragma omp for schedule(static)
    for (int64_t block = 0; block < plan.blocks; ++block) {
      const int64_t first = block * kBlockTiles, count = least(kBlockTiles, plan.tiles - first);
      Tile tile = tileAt(plan, first);
      for (int64_t t = 0; t < count; ++t, advance(plan, tile)) {
        transformInput(shape, tile, input, zeros, plan.inStride, transformed + t * shape.inChannels);
      }
      const auto multiply = shape.inChannels == 16   ? multiplyBlock<16>
                            : shape.inChannels == 32 ? multiplyBlock<32>
                            : shape.inChannels == 64 ? multiplyBlock<64>
                                                     : multiplyBlock<0>;
      multiply(shape, plan, transformed, weights, products);
      tile = tileAt(plan, first);
      for (int64_t t = 0; t < count; ++t, advance(plan, tile)) {
        transformOutput(shape, tile, products + t * shape.outChannels, plan.outStride, finish, output);
      }
    }
  }
}

/// sums[c][k] += sum over tiles of left[t][c] right[t][k], for kRows channels and kVectors vectors.
template <int kRows, int kVectors>
COHORT_INLINE void accumulate(const float* left, int64_t leftStride, const float* right, int64_t rightStride, float* to) {
  V sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int k = 0; k < kVectors; ++k) sums[r][k] = load<kWidth>(to + r * rightStride + k * kWidth);
  }
  for (int64_t t = 0; t < kBlockTiles; ++t) {
    V values[kVectors];
    for (int k = 0; k < kVectors; ++k) values[k] = load<kWidth>(right + t * rightStride + k * kWidth);
    for (int r = 0; r < kRows; ++r) {
      const float factor = left[t * leftStride + r];
      for (int k = 0; k < kVectors; ++k) sums[r][k] += values[k] * factor;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int k = 0; k < kVectors; ++k) store<kWidth>(to + r * rightStride + k * kWidth, sums[r][k]);
  }
}

/// What a block of tiles gives to the sums, [position][inChannels][outChannels].
void accumulateBlock(const WinogradShape& shape, const Plan& plan, const float* transformed, const float* gradient,
                     float* sums) {
  const int64_t in = shape.inChannels, out = shape.outChannels;
  constexpr int64_t kRows = kWidth == 16 ? 8 : 4;
  for (int64_t p = 0; p < kPositions; ++p) {
    const float* const left = transformed + p * plan.inStride;
    const float* const right = gradient + p * plan.outStride;
    float* const to = sums + p * in * out;
    for (int64_t o = 0; o < out; o += panelOf(out)) {
      if (kWidth == 8 || panelOf(out) == 32) {
        for (int64_t i = 0; i < in; i += kRows) accumulate<kRows, 2>(left + i, in, right + o, out, to + i * out + o);
      } else {
        for (int64_t i = 0; i < in; i += 16) accumulate<16, 1>(left + i, in, right + o, out, to + i * out + o);
      }
    }
  }
}

/// One dimension of G^T s G.
COHORT_INLINE void gatherKernel(V s0, V s1, V s2, V s3, V (&to)[3]) {
  to[0] = s0 + 0.5f * (s1 + s2);
  to[1] = 0.5f * (s1 - s2);
  to[2] = s3 + 0.5f * (s1 + s2);
}

/// The gradient of a vector of weights from the sums of all chunks.
void gatherWeights(const Plan& plan, const float* parts, int64_t at, int64_t numbers, float* result) {
  V rows[3][4];
  for (int x = 0; x < 4; ++x) {
    V column[4] = {};
    for (int y = 0; y < 4; ++y) {
      for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
        column[y] += load<kWidth>(parts + chunk * plan.products + (4 * y + x) * numbers + at);
      }
    }
    V gathered[3];
    gatherKernel(column[0], column[1], column[2], column[3], gathered);
    for (int y = 0; y < 3; ++y) rows[y][x] = gathered[y];
  }
  for (int y = 0; y < 3; ++y) {
    V gathered[3];
    gatherKernel(rows[y][0], rows[y][1], rows[y][2], rows[y][3], gathered);
    for (int x = 0; x < 3; ++x) store<kWidth>(result + (3 * y + x) * numbers + at, gathered[x]);
  }
}

void weightGradient(const WinogradShape& shape, const float* gradient, const float* input, void* scratch, float* result) {
  const Plan plan(shape);
  auto* const zeros = static_cast<float*>(scratch);
  float* const parts = zeros + plan.zeros;
  float* const rest = parts + plan.chunks * plan.products;
  clear(zeros, plan.zeros);
  const int threads = static_cast<int>(least(plan.threads, plan.chunks));
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    float* const transformed = rest + threadNumber() * plan.threadNumbers();
    float* const spread = transformed + kPositions * plan.inStride;
#pragma omp for schedule(static)
    for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
      float* const sums = parts + chunk * plan.products;
      clear(sums, plan.products);
      const int64_t lastBlock = (chunk + 1) * plan.blocks / plan.chunks;
      for (int64_t block = chunk * plan.blocks / plan.chunks; block < lastBlock; ++block) {
        const int64_t first = block * kBlockTiles, count = least(kBlockTiles, plan.tiles - first);
        if (count < kBlockTiles) clear(transformed, plan.threadNumbers());
        Tile tile = tileAt(plan, first);
        for (int64_t t = 0; t < count; ++t, advance(plan, tile)) {
          transformInput(shape, tile, input, zeros, plan.inStride, transformed + t * shape.inChannels);
          transformGradient(shape, tile, gradient, zeros, plan.outStride, spread + t * shape.outChannels);
        }
        accumulateBlock(shape, plan, transformed, spread, sums);
      }
    }
    const int64_t numbers = shape.inChannels * shape.outChannels;
#pragma omp for schedule(static)
    for (int64_t at = 0; at < numbers; at += kWidth) gatherWeights(plan, parts, at, numbers, result);
  }
}

}  // namespace

extern const WinogradKernels COHORT_JOIN(winogradKernels_, COHORT_CAPABILITY);
const WinogradKernels COHORT_JOIN(winogradKernels_, COHORT_CAPABILITY) = {
    COHORT_TEXT(COHORT_CAPABILITY), supports, supportsWeightGradient, scratchBytes, convolution, weightGradient};

}  // namespace cohort
