// The four transformations of Winograd's F(2x2, 3x3): input, output, gradient and weights, a vector of channels at a time.
// Maps are float32 or bfloat16; sums are float32, and what is transformed is stored in the type of the maps.
#pragma once

#include <type_traits>

#include "kernels/floatVectors.h"
#include "kernels/convolution/winograd/winogradKernels.h"

namespace cohort {
namespace {

/// Products of transformed numbers: one for each of the 4x4 positions in a tile.
constexpr int kPositions = 16;
/// Tiles that are worked on together: a multiple of kRows on every processor, so that all sum in the same order.
constexpr int64_t kBlockTiles = 48;
/// Weights beyond this leave the second-level cache: they are read once for as many tiles as fit into it instead, or for more.
constexpr int64_t kNarrowWeights = 128 * 128;
constexpr int64_t kCachedNumbers = 192 * 1024, kFewestWideTiles = 192, kMostWideTiles = 384;
/// Keeps positions off each other's cache sets.
constexpr int64_t kPadding = 32;

/// How many channels there are: kNumber, which the compiler then counts with, or where that is 0 the given number.
template <int kNumber>
COHORT_INLINE int64_t channelsOf(int64_t given) {
  return kNumber > 0 ? kNumber : given;
}

inline bool isWide(const WinogradShape& shape) { return shape.inChannels * shape.outChannels > kNarrowWeights; }

/// Tiles of a block of this shape.
inline int64_t blockTilesOf(const WinogradShape& shape) {
  if (!isWide(shape)) return kBlockTiles;
  const int64_t tiles = kCachedNumbers / (shape.inChannels + shape.outChannels) / kBlockTiles * kBlockTiles;
  return most(kFewestWideTiles, least(tiles, kMostWideTiles));
}

/// From one position of a block of `tiles` to the next; of the usual number where the compiler knows the channels.
template <int kNumber>
COHORT_INLINE int64_t strideOf(int64_t channels, int64_t tiles) {
  return (kNumber > 0 ? kBlockTiles : tiles) * channels + kPadding;
}

/// From one position of weights, or of their gradient's sums, to the next.
inline int64_t weightStrideOf(const WinogradShape& shape) { return shape.inChannels * shape.outChannels + kPadding; }

/// Calls `each` with the number of channels for the compiler to know, where it is a usual one, or with 0.
template <typename Each>
void withChannels(const WinogradShape& shape, int64_t channels, const Each& each) {
  if (isWide(shape)) return each(std::integral_constant<int, 0>());
  if (channels == 16) return each(std::integral_constant<int, 16>());
  if (channels == 32) return each(std::integral_constant<int, 32>());
  if (channels == 64) return each(std::integral_constant<int, 64>());
  each(std::integral_constant<int, 0>());
}

/// The number of a tile in the batch, and where it is.
struct Tile {
  int64_t image;
  int64_t row;
  int64_t column;
};

/// One dimension of B^T d B.
COHORT_INLINE void spreadInput(V d0, V d1, V d2, V d3, V (&to)[4]) {
  to[0] = minusByProduct(d0, d2);
  to[1] = d1 + d2;
  to[2] = minusByProduct(d2, d1);
  to[3] = minusByProduct(d1, d3);
}

/// Where transformed numbers go: `to[position * stride + place * channels + channel]`, a place for each tile.
template <typename E, int kNumber>
struct Rows {
  /// Whether two tiles side by side can be put at once.
  static constexpr bool kTakesTwo = false;
  /// Four positions of a row of a tile.
  COHORT_INLINE void put(int64_t place, int64_t channel, int y, const V (&numbers)[4]) const {
    const int64_t channels = channelsOf<kNumber>(given), stride = strideOf<kNumber>(channels, tiles);
    E* const start = to + 4 * y * stride + place * channels + channel;
    for (int x = 0; x < 4; x += 2) storeBoth(start + x * stride, numbers[x], start + (x + 1) * stride, numbers[x + 1]);
  }
  void finish(int64_t) const {}

  E* to;
  int64_t given;
  /// Of a block.
  int64_t tiles;
};

#ifdef __AVX512BF16__
/// The same as pairs in bfloat16: `to[position * stride / 2 + (place / 2) * channels + channel]` holds an even place and the
/// next.
template <int kNumber>
struct Pairs {
  static constexpr bool kTakesTwo = true;
  COHORT_INLINE void put(int64_t place, int64_t channel, int y, const V (&numbers)[4]) const {
    const int64_t channels = channelsOf<kNumber>(given), stride = strideOf<kNumber>(channels, tiles) / 2;
    float* const kept = even + y * 4 * channels + channel;
    uint32_t* const start = to + y * 4 * stride + (place / 2) * channels + channel;
    for (int x = 0; x < 4; ++x) {
      if (place % 2 == 0) {
        store<kWidth>(kept + x * channels, numbers[x]);
      } else {
        const V first = load<kWidth>(kept + x * channels);
        const auto both = _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(numbers[x]), reinterpret_cast<__m512>(first));
        _mm512_storeu_si512(start + x * stride, _mm512_permutexvar_epi16(order(), reinterpret_cast<__m512i>(both)));
      }
    }
  }
  /// The same of an even place and the next at once.
  COHORT_INLINE void putBoth(int64_t place, int64_t channel, int y, const V (&first)[4], const V (&second)[4]) const {
    const int64_t channels = channelsOf<kNumber>(given), stride = strideOf<kNumber>(channels, tiles) / 2;
    uint32_t* const start = to + y * 4 * stride + (place / 2) * channels + channel;
    for (int x = 0; x < 4; ++x) {
      const auto both = _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(second[x]), reinterpret_cast<__m512>(first[x]));
      _mm512_storeu_si512(start + x * stride, _mm512_permutexvar_epi16(order(), reinterpret_cast<__m512i>(both)));
    }
  }
  /// Gives the last place of an odd number zeros for a neighbour.
  void finish(int64_t places) const {
    if (places % 2 == 0) return;
    const V zeros[4] = {};
    for (int64_t channel = 0; channel < given; channel += kWidth) {
      for (int y = 0; y < 4; ++y) put(places, channel, y, zeros);
    }
  }
  /// 16 numbers and the 16 after them, in turn.
  static __m512i order() {
    alignas(64) uint16_t numbers[32];
    for (int i = 0; i < 16; ++i) {
      numbers[2 * i] = static_cast<uint16_t>(i);
      numbers[2 * i + 1] = static_cast<uint16_t>(16 + i);
    }
    return _mm512_load_si512(numbers);
  }

  uint32_t* to;
  /// What an even place waits in, `[position][channels]`.
  float* even;
  int64_t given;
  /// Of a block.
  int64_t tiles;
};
#endif

/// Transforms the 4x4 input pixels of `count` adjacent tiles, the first of them at `place`. Tiles overlap by two
/// columns, which are transformed once. `zeros` stand for the rows around a map.
template <int kNumber, typename E, typename Sink>
void transformInput(const WinogradShape& shape, const Tile& first, int64_t count, const E* input, const E* zeros,
                    int64_t place, const Sink& sink) {
  const int64_t channels = channelsOf<kNumber>(shape.inChannels), width = shape.width;
  const E* rows[4];
  int64_t steps[4];
  for (int64_t y = 0; y < 4; ++y) {
    const int64_t row = 2 * first.row - 1 + y;
    const bool isInside = row >= 0 && row < shape.height;
    rows[y] = isInside ? input + (first.image * shape.height + row) * width * channels : zeros;
    steps[y] = isInside ? channels : 0;
  }
  for (int64_t channel = 0; channel < channels; channel += kWidth) {
    const auto column = [&](int64_t x, V (&spread)[4]) {
      if (x < 0 || x >= width) {
        for (V& each : spread) each = V{};
        return;
      }
      const auto at = [&](int y) { return load<kWidth>(rows[y] + x * steps[y] + channel); };
      spreadInput(at(0), at(1), at(2), at(3), spread);
    };
    int64_t left = 2 * first.column - 1;
    V a[4], b[4], c[4], d[4];
    column(left, a);
    column(left + 1, b);
    for (int64_t tile = 0; tile < count; ++tile, left += 2) {
      column(left + 2, c);
      column(left + 3, d);
      if constexpr (Sink::kTakesTwo) {
        if ((place + tile) % 2 == 0 && tile + 1 < count) {
          V e[4], f[4];
          column(left + 4, e);
          column(left + 5, f);
          for (int y = 0; y < 4; ++y) {
            V spread[4], nextSpread[4];
            spreadInput(a[y], b[y], c[y], d[y], spread);
            spreadInput(c[y], d[y], e[y], f[y], nextSpread);
            sink.putBoth(place + tile, channel, y, spread, nextSpread);
            a[y] = e[y];
            b[y] = f[y];
          }
          ++tile;
          left += 2;
          continue;
        }
      }
      for (int y = 0; y < 4; ++y) {
        V spread[4];
        spreadInput(a[y], b[y], c[y], d[y], spread);
        sink.put(place + tile, channel, y, spread);
        a[y] = c[y];
        b[y] = d[y];
      }
    }
  }
}

/// Sums the 4x4 products of a tile to its 2x2 output pixels, A^T m A.
template <int kNumber, bool kIsPlain, bool kIsWhole, typename E>
COHORT_INLINE void transformProducts(const WinogradShape& shape, const Tile& tile, const float* products,
                                     const WinogradFinish& finish, E* output) {
  const int64_t channels = channelsOf<kNumber>(shape.outChannels), line = shape.width * channels;
  const int64_t stride = strideOf<kNumber>(channels, blockTilesOf(shape));
  const int64_t rows = kIsWhole ? 2 : least(2, shape.height - 2 * tile.row);
  const int64_t columns = kIsWhole ? 2 : least(2, shape.width - 2 * tile.column);
  const int64_t start = (tile.image * shape.height + 2 * tile.row) * line + 2 * tile.column * channels;
  for (int64_t channel = 0; channel < channels; channel += kWidth) {
    V sums[2][4];
    for (int x = 0; x < 4; ++x) {
      const auto at = [&](int y) { return load<kWidth>(products + (y * 4 + x) * stride + channel); };
      const V m1 = at(1), m2 = at(2);
      sums[0][x] = plusByProduct(at(0) + m1, m2);
      sums[1][x] = minusByProduct(m1 - m2, at(3));
    }
    for (int64_t y = 0; y < rows; ++y) {
      const V pair[2] = {plusByProduct(sums[y][0] + sums[y][1], sums[y][2]),
                         minusByProduct(sums[y][1] - sums[y][2], sums[y][3])};
      for (int64_t x = 0; x < columns; ++x) {
        const int64_t at = start + y * line + x * channels + channel;
        V value = pair[x];
        if (!kIsPlain) {
          if (finish.bias != nullptr) value += load<kWidth>(finish.bias + channel);
          if (finish.residual != nullptr) value += load<kWidth>(static_cast<const E*>(finish.residual) + at);
          if (finish.rectifies) value = whereNotNegative(value, value);
        }
        store<kWidth>(output + at, value);
      }
    }
  }
}

template <int kNumber, typename E>
void transformOutput(const WinogradShape& shape, const Tile& tile, const float* products, const WinogradFinish& finish,
                     E* output) {
  const bool isPlain = finish.bias == nullptr && finish.residual == nullptr && !finish.rectifies;
  const bool isWhole = 2 * tile.row + 1 < shape.height && 2 * tile.column + 1 < shape.width;
  if (!isWhole) return transformProducts<kNumber, false, false>(shape, tile, products, finish, output);
  if (!isPlain) return transformProducts<kNumber, false, true>(shape, tile, products, finish, output);
  transformProducts<kNumber, true, true>(shape, tile, products, finish, output);
}

/// The 2x2 gradient pixels of a tile; `zeros` stand for those beyond the map.
template <typename E>
struct GradientPixels {
  COHORT_INLINE GradientPixels(const WinogradShape& shape, int64_t channels, const Tile& tile, const E* gradient,
                               const E* zeros) {
    for (int64_t y = 0; y < 2; ++y) {
      for (int64_t x = 0; x < 2; ++x) {
        const int64_t row = 2 * tile.row + y, column = 2 * tile.column + x;
        at[y][x] = row < shape.height && column < shape.width
                       ? gradient + ((tile.image * shape.height + row) * shape.width + column) * channels
                       : zeros;
      }
    }
  }

  /// The four rows of A g, of a vector of channels.
  COHORT_INLINE void spreadRows(int64_t channel, V (&rows)[4][2]) const {
    for (int x = 0; x < 2; ++x) {
      const V first = load<kWidth>(at[0][x] + channel), second = load<kWidth>(at[1][x] + channel);
      rows[0][x] = first;
      rows[1][x] = first + second;
      rows[2][x] = first - second;
      rows[3][x] = -second;
    }
  }

  const E* at[2][2];
};

/// One row of A g A^T from the same row of A g.
COHORT_INLINE void spreadGradient(const V (&row)[2], V (&to)[4]) {
  to[0] = row[0];
  to[1] = row[0] + row[1];
  to[2] = row[0] - row[1];
  to[3] = -row[1];
}

/// Spreads the 2x2 gradient pixels of `count` adjacent tiles to 4x4 positions, A g A^T.
template <int kNumber, typename E, typename Sink>
void transformGradient(const WinogradShape& shape, Tile tile, int64_t count, const E* gradient, const E* zeros, int64_t place,
                       const Sink& sink) {
  const int64_t channels = channelsOf<kNumber>(shape.outChannels);
  for (int64_t done = 0; done < count; ++done, ++tile.column) {
    const GradientPixels<E> pixels(shape, channels, tile, gradient, zeros);
    if constexpr (Sink::kTakesTwo) {
      if ((place + done) % 2 == 0 && done + 1 < count) {
        ++tile.column;
        const GradientPixels<E> others(shape, channels, tile, gradient, zeros);
        for (int64_t channel = 0; channel < channels; channel += kWidth) {
          V rows[4][2], otherRows[4][2];
          pixels.spreadRows(channel, rows);
          others.spreadRows(channel, otherRows);
          for (int y = 0; y < 4; ++y) {
            V first[4], second[4];
            spreadGradient(rows[y], first);
            spreadGradient(otherRows[y], second);
            sink.putBoth(place + done, channel, y, first, second);
          }
        }
        ++done;
        continue;
      }
    }
    for (int64_t channel = 0; channel < channels; channel += kWidth) {
      V rows[4][2];
      pixels.spreadRows(channel, rows);
      for (int y = 0; y < 4; ++y) {
        V spread[4];
        spreadGradient(rows[y], spread);
        sink.put(place + done, channel, y, spread);
      }
    }
  }
}

/// One 3x3 kernel of a vector of channels, G g G^T; taps lie `stride` apart.
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

/// One dimension of G^T s G.
COHORT_INLINE void gatherKernel(V s0, V s1, V s2, V s3, V (&to)[3]) {
  to[0] = s0 + 0.5f * (s1 + s2);
  to[1] = 0.5f * (s1 - s2);
  to[2] = s3 + 0.5f * (s1 + s2);
}

}  // namespace
}  // namespace cohort
