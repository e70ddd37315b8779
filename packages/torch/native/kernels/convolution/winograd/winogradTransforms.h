// The four transformations of Winograd's convolution in two dimensions: input, output, gradient and weights, a vector of
// channels at a time, in either form (winogradForms.h). Maps are float32 or bfloat16, sums are float32, and how what is
// transformed is kept is said elsewhere (winogradNumbers.h).
#pragma once

#include <type_traits>

#include "kernels/convolution/winograd/winogradNumbers.h"

namespace cohort {
namespace {

/// The number of a tile in the batch, and where it is.
struct Tile {
  int64_t image;
  int64_t row;
  int64_t column;
};

/// The end of a loop over the rows or columns of a tile. The compiler, which does not see that of a large one, leaves such a
/// loop in one piece: its numbers do not fit into registers, and what it would move about takes longer than the loop.
template <typename Form>
COHORT_INLINE int endOf(int count) {
  if constexpr (Form::kSide > 4) asm("" : "+r"(count));
  return count;
}

/// How pixels are read: as they are.
struct AsTheyAre {
  template <typename E>
  struct Channels {
    COHORT_INLINE Channels(const AsTheyAre&, int64_t) {}
    COHORT_INLINE V operator()(V pixels) const { return pixels; }
  };
};

/// Or normalised and rectified, to the bits that the loops of batch normalisation would write.
struct Normalised {
  template <typename E>
  struct Channels {
    COHORT_INLINE Channels(const Normalised& all, int64_t first)
        : mean(load<kWidth>(all.norm.mean + first)),
          slope(load<kWidth>(all.norm.slope + first)),
          bias(load<kWidth>(all.norm.bias + first)) {}
    COHORT_INLINE V operator()(V pixels) const {
      const V value = apart((pixels - mean) * slope) + bias;
      E written[kWidth];
      store<kWidth>(written, whereNotNegative(value, value));
      return load<kWidth>(written);
    }
    V mean, slope, bias;
  };
  WinogradNorm norm;
};

/// Or in one of these ways, and then multiplied by a number for each channel.
template <typename Reading>
struct Weighted {
  template <typename E>
  struct Channels {
    COHORT_INLINE Channels(const Weighted& all, int64_t first)
        : read(all.reading, first), factor(load<kWidth>(all.factors + first)) {}
    COHORT_INLINE V operator()(V pixels) const { return read(pixels) * factor; }
    typename Reading::template Channels<E> read;
    V factor;
  };
  const Reading& reading;
  const float* factors;
};

/// Transforms the input pixels of `count` adjacent tiles, the first of them at `place`. Tiles overlap by two columns, which
/// are transformed once. `zeros` stand for the rows around a map: as many as a tile has columns.
template <typename Form, int kNumber, typename E, typename Reading, typename Sink>
void transformInput(const WinogradShape& shape, const Tile& first, int64_t count, const E* input, const E* zeros,
                    const Reading& reading, int64_t place, const Sink& sink) {
  constexpr int kTile = Form::kTile, kSide = Form::kSide;
  const int64_t channels = channelsOf<kNumber>(shape.inChannels), width = shape.width;
  for (int64_t channel = 0; channel < channels; channel += kWidth) {
    int64_t left = kTile * first.column - 1;
    const typename Reading::template Channels<E> read(reading, channel);
    // Where a tile begins in each row, and how far the next is from there: nowhere, in a row outside.
    const E* pixels[kSide];
    int64_t steps[kSide];
    for (int64_t y = 0; y < kSide; ++y) {
      const int64_t row = kTile * first.row - 1 + y;
      const bool isInside = row >= 0 && row < shape.height;
      pixels[y] = (isInside ? input + ((first.image * shape.height + row) * width + left) * channels : zeros) + channel;
      steps[y] = isInside ? kTile * channels : 0;
    }
    const auto column = [&](int x, V (&spread)[kSide]) {
      if (left + x < 0 || left + x >= width) {
        for (V& each : spread) each = V{};
        return;
      }
      V numbers[kSide];
      for (int y = 0; y < kSide; ++y) {
        numbers[y] = load<kWidth>(pixels[y] + x * channels);
        if (!std::is_same_v<Reading, AsTheyAre>) numbers[y] = steps[y] == 0 ? V{} : read(numbers[y]);
      }
      Form::spreadInput(numbers, spread);
    };
    const auto moveOn = [&] {
      left += kTile;
      for (int y = 0; y < kSide; ++y) pixels[y] += steps[y];
    };
    V columns[kSide][kSide];
    const auto row = [&](int y, V (&spread)[kSide]) {
      V numbers[kSide];
      for (int x = 0; x < kSide; ++x) numbers[x] = columns[x][y];
      Form::spreadInput(numbers, spread);
    };
    column(0, columns[0]);
    column(1, columns[1]);
    for (int64_t tile = 0; tile < count; ++tile, moveOn()) {
      for (int x = 2; x < endOf<Form>(kSide); ++x) column(x, columns[x]);
      if constexpr (Sink::kTakesTwo) {
        if ((place + tile) % 2 == 0 && tile + 1 < count) {
          V next[kTile][kSide];
          moveOn();
          ++tile;
          for (int x = 0; x < kTile; ++x) column(2 + x, next[x]);
          for (int y = 0; y < kSide; ++y) {
            V spread[kSide], nextSpread[kSide];
            row(y, spread);
            for (int x = 0; x < 2; ++x) columns[x][y] = columns[kTile + x][y];
            for (int x = 0; x < kTile; ++x) columns[2 + x][y] = next[x][y];
            row(y, nextSpread);
            for (int x = 0; x < 2; ++x) columns[x][y] = columns[kTile + x][y];
            sink.putBoth(place + tile - 1, channel, y, spread, nextSpread);
          }
          continue;
        }
      }
      for (int y = 0; y < endOf<Form>(kSide); ++y) {
        V spread[kSide];
        row(y, spread);
        sink.put(place + tile, channel, y, spread);
        for (int x = 0; x < 2; ++x) columns[x][y] = columns[kTile + x][y];
      }
    }
  }
}

/// Sums the products of a tile to its output pixels, A^T m A.
template <typename Form, int kNumber, bool kIsPlain, bool kIsWhole, typename E>
COHORT_INLINE void transformProducts(const WinogradShape& shape, const Tile& tile, const float* products,
                                     const WinogradFinish& finish, E* output) {
  constexpr int kTile = Form::kTile, kSide = Form::kSide;
  const int64_t channels = channelsOf<kNumber>(shape.outChannels), line = shape.width * channels;
  const int64_t stride = strideOf<Form, kNumber>(channels, blockTilesOf<Form>(shape));
  const int64_t rows = kIsWhole ? kTile : least(kTile, shape.height - kTile * tile.row);
  const int64_t columns = kIsWhole ? kTile : least(kTile, shape.width - kTile * tile.column);
  const int64_t start = (tile.image * shape.height + kTile * tile.row) * line + kTile * tile.column * channels;
  for (int64_t channel = 0; channel < channels; channel += kWidth) {
    V sums[kTile][kSide];
    for (int x = 0; x < kSide; ++x) {
      V column[kSide], gathered[kTile];
      for (int y = 0; y < kSide; ++y) column[y] = load<kWidth>(products + (y * kSide + x) * stride + channel);
      Form::gatherOutput(column, gathered);
      for (int y = 0; y < kTile; ++y) sums[y][x] = gathered[y];
    }
    for (int64_t y = 0; y < rows; ++y) {
      V pixels[kTile];
      Form::gatherOutput(sums[y], pixels);
      for (int64_t x = 0; x < columns; ++x) {
        const int64_t at = start + y * line + x * channels + channel;
        V value = pixels[x];
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

template <typename Form, int kNumber, typename E>
void transformOutput(const WinogradShape& shape, const Tile& tile, const float* products, const WinogradFinish& finish,
                     E* output) {
  const bool isPlain = finish.bias == nullptr && finish.residual == nullptr && !finish.rectifies;
  const bool isWhole = Form::kTile * (tile.row + 1) <= shape.height && Form::kTile * (tile.column + 1) <= shape.width;
  if (!isWhole) return transformProducts<Form, kNumber, false, false>(shape, tile, products, finish, output);
  if (!isPlain) return transformProducts<Form, kNumber, false, true>(shape, tile, products, finish, output);
  transformProducts<Form, kNumber, true, true>(shape, tile, products, finish, output);
}

/// The gradient pixels of a tile; `zeros` stand for those beyond the map.
template <typename Form, typename E>
struct GradientPixels {
  static constexpr int kTile = Form::kTile;
  COHORT_INLINE GradientPixels(const WinogradShape& shape, int64_t channels, const Tile& tile, const E* gradient,
                               const E* zeros) {
    for (int64_t y = 0; y < kTile; ++y) {
      for (int64_t x = 0; x < kTile; ++x) {
        const int64_t row = kTile * tile.row + y, column = kTile * tile.column + x;
        at[y][x] = row < shape.height && column < shape.width
                       ? gradient + ((tile.image * shape.height + row) * shape.width + column) * channels
                       : zeros;
      }
    }
  }

  /// The rows of A g, of a vector of channels.
  template <typename Channels>
  COHORT_INLINE void spreadRows(int64_t channel, const Channels& read, V (&rows)[Form::kSide][kTile]) const {
    for (int x = 0; x < kTile; ++x) {
      V column[kTile], spread[Form::kSide];
      for (int y = 0; y < kTile; ++y) column[y] = read(load<kWidth>(at[y][x] + channel));
      Form::spreadGradient(column, spread);
      for (int y = 0; y < Form::kSide; ++y) rows[y][x] = spread[y];
    }
  }

  const E* at[kTile][kTile];
};

/// Spreads the gradient pixels of `count` adjacent tiles to all positions, A g A^T.
template <typename Form, int kNumber, typename E, typename Reading, typename Sink>
void transformGradient(const WinogradShape& shape, Tile tile, int64_t count, const E* gradient, const E* zeros,
                       const Reading& reading, int64_t place, const Sink& sink) {
  using Channels = typename Reading::template Channels<E>;
  constexpr int kTile = Form::kTile, kSide = Form::kSide;
  const int64_t channels = channelsOf<kNumber>(shape.outChannels);
  for (int64_t done = 0; done < count; ++done, ++tile.column) {
    const GradientPixels<Form, E> pixels(shape, channels, tile, gradient, zeros);
    if constexpr (Sink::kTakesTwo) {
      if ((place + done) % 2 == 0 && done + 1 < count) {
        ++tile.column;
        const GradientPixels<Form, E> others(shape, channels, tile, gradient, zeros);
        for (int64_t channel = 0; channel < channels; channel += kWidth) {
          V rows[kSide][kTile], otherRows[kSide][kTile];
          const Channels read(reading, channel);
          pixels.spreadRows(channel, read, rows);
          others.spreadRows(channel, read, otherRows);
          for (int y = 0; y < kSide; ++y) {
            V first[kSide], second[kSide];
            Form::spreadGradient(rows[y], first);
            Form::spreadGradient(otherRows[y], second);
            sink.putBoth(place + done, channel, y, first, second);
          }
        }
        ++done;
        continue;
      }
    }
    for (int64_t channel = 0; channel < channels; channel += kWidth) {
      V rows[kSide][kTile];
      pixels.spreadRows(channel, Channels(reading, channel), rows);
      for (int y = 0; y < kSide; ++y) {
        V spread[kSide];
        Form::spreadGradient(rows[y], spread);
        sink.put(place + done, channel, y, spread);
      }
    }
  }
}

/// One 3x3 kernel of a vector of channels, G g G^T; taps lie `stride` apart.
template <typename Form>
COHORT_INLINE void transformKernel(const float* taps, int64_t stride, bool isTurned, V (&to)[Form::kPositions]) {
  constexpr int kSide = Form::kSide;
  V rows[kSide][3];
  const auto at = [&](int y, int x) { return load<kWidth>(taps + (isTurned ? 8 - 3 * y - x : 3 * y + x) * stride); };
  for (int x = 0; x < 3; ++x) {
    V column[kSide];
    Form::spreadKernel(at(0, x), at(1, x), at(2, x), column);
    for (int y = 0; y < kSide; ++y) rows[y][x] = column[y];
  }
  for (int y = 0; y < kSide; ++y) {
    V row[kSide];
    Form::spreadKernel(rows[y][0], rows[y][1], rows[y][2], row);
    for (int x = 0; x < kSide; ++x) to[kSide * y + x] = row[x];
  }
}

}  // namespace
}  // namespace cohort
