// Bounds of what large tiles of bfloat16 maps become when they are transformed, and the scales that take it to integers.
//
// A transformed number is at most the largest pixel times the sum of a row's constants, once for each dimension. The bound is
// that of all pixels of a few tiles side by side for input, after the factors that even out the weights of its channels, and
// of each channel's pixels in a block for weight gradients.
#pragma once

#include "kernels/convolution/winograd/winogradPlan.h"
#include "kernels/convolution/winograd/winogradTransforms.h"

namespace cohort {
namespace {

/// What integers of each channel count, of both factors of a weight gradient.
struct FactorUnits {
  const float* input;
  const float* gradient;
};

/// How both factors of a weight gradient are kept for a block, and what their integers count.
template <typename Form, typename E>
struct KeptFactors {
  template <typename Reading>
  KeptFactors(const WinogradShape&, const Plan<Form>&, int64_t, int64_t, const E*, const E*, const Reading&) {}
  Numbers<Form, E> input() const { return {}; }
  Numbers<Form, E> gradient() const { return {}; }
  /// How their pixels are read.
  template <typename Reading>
  const Reading& inputReading(const Reading& reading) const { return reading; }
  AsTheyAre gradientReading() const { return {}; }
  FactorUnits units() const { return {}; }
};

#ifdef COHORT_PAIRS

/// Tiles side by side that share a bound, the first of them a multiple of this in its row: so that what a picture gives does
/// not depend on where blocks begin.
constexpr int64_t kSharing = 8;

/// Channels whose products are summed as integers of 32 bits.
constexpr int64_t kIntegerDepth = 64;
/// The largest integers that may be summed over so many channels: input, whose bound is seldom reached, has four times as many as
/// weights. Almost the whole range of a sum is used.
struct FixedLimits {
  explicit FixedLimits(int64_t channels) {
    if (channels <= 16) {
      input = 23170, weight = 5792;
    } else if (channels <= 32) {
      input = 16383, weight = 4096;
    } else {
      input = 11584, weight = 2896;
    }
  }
  float input;
  float weight;
};
/// Those of both factors of a weight gradient, summed over a block of tiles.
constexpr float kGradientLimit = 9459;
static_assert(LargeTiles::kBlockTiles == 24, "sums over a block must fit into 32 bits");

/// A number for each position of a tile.
struct PositionNumbers {
  float at[LargeTiles::kPositions];
};

/// How much each position is magnified at most, by what each row of a transformation is.
constexpr PositionNumbers magnified(const float (&rows)[LargeTiles::kSide]) {
  PositionNumbers all{};
  for (int p = 0; p < LargeTiles::kPositions; ++p) all.at[p] = rows[p / LargeTiles::kSide] * rows[p % LargeTiles::kSide];
  return all;
}
constexpr PositionNumbers inverse(const PositionNumbers& numbers) {
  PositionNumbers all{};
  for (int p = 0; p < LargeTiles::kPositions; ++p) all.at[p] = 1 / numbers.at[p];
  return all;
}
constexpr PositionNumbers kInputGrowth = magnified(LargeTiles::kInputRows), kInputShrink = inverse(kInputGrowth);
constexpr PositionNumbers kGradientGrowth = magnified(LargeTiles::kGradientRows), kGradientShrink = inverse(kGradientGrowth);

/// Numbers too small for scales to be finite become zero. What is not finite makes all that it scales NaN.
COHORT_INLINE float scaleTo(float limit, float bound) { return bound < 1e-30f ? 0 : limit / bound; }

/// What takes numbers up to `bound`, once transformed, to integers up to `limit`.
struct FixedScales {
  COHORT_INLINE FixedScales(const PositionNumbers& shrink, float limit, float bound) {
    const float scale = scaleTo(limit, bound);
    for (int p = 0; p < LargeTiles::kPositions; ++p) numbers.at[p] = scale * shrink.at[p];
  }
  PositionNumbers numbers;
};

/// The larger of numbers without signs; NaN is larger than all.
COHORT_INLINE float largest(__m512i magnitudes) {
  const int bits = static_cast<int>(_mm512_reduce_max_epu32(magnitudes));
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
COHORT_INLINE __m512i magnitudesOf(V values) {
  return _mm512_and_si512(reinterpret_cast<__m512i>(values), _mm512_set1_epi32(0x7FFFFFFF));
}

/// The larger of two bounds; NaN where one is.
COHORT_INLINE float larger(float left, float right) { return left >= right || left != left ? left : right; }

/// Rows `top` to `bottom` and columns `left` to `right` of an image, without the last.
struct Area {
  int64_t image, top, bottom, left, right;
};

/// What tiles in rows `top` to `bottom` and columns `left` to `right`, without the last, take up with so many pixels around.
COHORT_INLINE Area areaOf(const WinogradShape& shape, const Area& tiles, int64_t around) {
  constexpr int64_t kTile = LargeTiles::kTile;
  return {tiles.image, most(0, kTile * tiles.top - around), least(shape.height, kTile * tiles.bottom + around),
          most(0, kTile * tiles.left - around), least(shape.width, kTile * tiles.right + around)};
}

/// Bits in the order of the numbers, and back: those of negative ones are turned.
COHORT_INLINE __m512i turned(__m512i bits) {
  return _mm512_xor_si512(bits, _mm512_srli_epi16(_mm512_srai_epi16(bits, 15), 1));
}

/// The largest magnitudes among bits of 32 numbers at a time; NaN is larger than all.
class LargestAsTheyAre {
 public:
  /// Twice a number has no sign left.
  COHORT_INLINE void add(__m512i bits) { doubled_ = _mm512_max_epu16(doubled_, _mm512_add_epi16(bits, bits)); }
  /// Of the lower 16 numbers, or the upper ones.
  template <int kHalf>
  COHORT_INLINE __m512i found(const AsTheyAre&, int64_t) const {
    const __m256i half = _mm512_extracti64x4_epi64(_mm512_srli_epi16(doubled_, 1), kHalf);
    return _mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
  }

 private:
  __m512i doubled_ = _mm512_setzero_si512();
};

/// The same of what is read in another way, which keeps or turns the order of each channel's numbers.
class LargestOnceRead {
 public:
  COHORT_INLINE void add(__m512i bits) {
    low_ = _mm512_min_epi16(low_, turned(bits));
    high_ = _mm512_max_epi16(high_, turned(bits));
  }
  /// Of the lower 16 numbers, or the upper ones, which belong to channels from `channel` on.
  template <int kHalf, typename Reading>
  COHORT_INLINE __m512i found(const Reading& reading, int64_t channel) const {
    const typename Reading::template Channels<BFloat16> read(reading, channel);
    const auto magnitudes = [&](__m512i ends) {
      BFloat16 numbers[2 * kWidth];
      _mm512_storeu_si512(numbers, turned(ends));
      return magnitudesOf(read(load<kWidth>(numbers + kHalf * kWidth)));
    };
    return _mm512_max_epu32(magnitudes(low_), magnitudes(high_));
  }

 private:
  __m512i low_ = _mm512_set1_epi16(0x7FFF), high_ = _mm512_set1_epi16(-0x8000);
};

/// Calls `each(bits)` until it has seen an area's numbers of 32 channels from `channel` on, or of 16 where the channels are no
/// multiple of 32: then those of one or two pixels at a time, both halves the same channels.
template <typename Each>
COHORT_INLINE void forNumbers(const WinogradShape& shape, int64_t channels, const Area& area, const BFloat16* maps,
                              int64_t channel, const Each& each) {
  const int64_t pixels = area.right - area.left;
  for (int64_t row = area.top; row < area.bottom; ++row) {
    const BFloat16* from = maps + ((area.image * shape.height + row) * shape.width + area.left) * channels + channel;
    const BFloat16* const end = from + pixels * channels;
    if (channels % 32 == 0) {
      for (; from < end; from += channels) each(_mm512_loadu_si512(from));
    } else if (channels == kWidth && pixels > 1) {
      for (; from + 2 * kWidth <= end; from += 2 * kWidth) each(_mm512_loadu_si512(from));
      if (from < end) each(_mm512_loadu_si512(end - 2 * kWidth));
    } else {
      for (; from < end; from += channels) {
        each(_mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
      }
    }
  }
}

/// The largest magnitude in an area of each channel, where it is larger than what is there.
template <typename Reading>
void channelBounds(const WinogradShape& shape, int64_t channels, const Area& area, const BFloat16* maps, const Reading& reading,
                   float* bounds) {
  const bool isHalved = channels % 32 != 0;
  for (int64_t channel = 0; channel < channels; channel += isHalved ? kWidth : 2 * kWidth) {
    std::conditional_t<std::is_same_v<Reading, AsTheyAre>, LargestAsTheyAre, LargestOnceRead> largest;
    forNumbers(shape, channels, area, maps, channel, [&](__m512i bits) { largest.add(bits); });
    const auto add = [](float* to, __m512i found) {
      _mm512_storeu_si512(to, _mm512_max_epu32(found, _mm512_loadu_si512(to)));
    };
    add(bounds + channel, largest.template found<0>(reading, channel));
    const int64_t upper = isHalved ? channel : channel + kWidth;
    add(bounds + upper, largest.template found<1>(reading, upper));
  }
}

/// The largest magnitude in an area, once each channel is multiplied by its factor.
template <typename Reading>
float boundOf(const WinogradShape& shape, const Area& area, const BFloat16* input, const Weighted<Reading>& weighted) {
  float bounds[kNarrowWeights / kChannels];
  for (int64_t c = 0; c < shape.inChannels; ++c) bounds[c] = 0;
  channelBounds(shape, shape.inChannels, area, input, weighted.reading, bounds);
  __m512i magnitudes = _mm512_setzero_si512();
  for (int64_t c = 0; c < shape.inChannels; c += kWidth) {
    magnitudes = _mm512_max_epu32(magnitudes, magnitudesOf(load<kWidth>(bounds + c) * load<kWidth>(weighted.factors + c)));
  }
  return largest(magnitudes);
}

/// Calls `each(first tile, tiles, place, bound of their input)` for the parts of a run that share a bound.
template <typename Reading, typename Each>
COHORT_INLINE void forBounds(const WinogradShape& shape, int64_t tileColumns, Tile tile, int64_t length, int64_t place,
                             const BFloat16* input, const Reading& reading, const Each& each) {
  while (length > 0) {
    const int64_t first = tile.column / kSharing * kSharing, last = least(first + kSharing, tileColumns);
    const int64_t part = least(length, last - tile.column);
    each(tile, part, place, boundOf(shape, areaOf(shape, {tile.image, tile.row, tile.row + 1, first, last}, 1), input, reading));
    tile.column += part, place += part, length -= part;
  }
}

template <>
struct KeptFactors<LargeTiles, BFloat16> {
  template <typename Reading>
  KeptFactors(const WinogradShape& shape, const Plan<LargeTiles>& plan, int64_t first, int64_t count, const BFloat16* gradient,
              const BFloat16* input, const Reading& reading) {
    for (int64_t i = 0; i < shape.inChannels; ++i) input_.units[i] = 0;
    for (int64_t o = 0; o < shape.outChannels; ++o) gradient_.units[o] = 0;
    const auto add = [&](const Area& tiles) {
      channelBounds(shape, shape.inChannels, areaOf(shape, tiles, 1), input, reading, input_.units);
      channelBounds(shape, shape.outChannels, areaOf(shape, tiles, 0), gradient, AsTheyAre(), gradient_.units);
    };
    // All rows of tiles in which any of the block's are, image by image; of a single row no more than its own columns.
    const int64_t end = (first + count + plan.tileColumns - 1) / plan.tileColumns;
    for (int64_t row = first / plan.tileColumns; row < end;) {
      const int64_t image = row / plan.tileRows, start = image * plan.tileRows, next = least(end, start + plan.tileRows);
      const bool isSingle = first >= row * plan.tileColumns && end == row + 1;
      const int64_t left = isSingle ? first - row * plan.tileColumns : 0;
      add({image, row - start, next - start, left, isSingle ? left + count : plan.tileColumns});
      row = next;
    }
    input_.scale(shape.inChannels);
    gradient_.scale(shape.outChannels);
  }
  Scaled input() const { return {kInputShrink.at}; }
  Scaled gradient() const { return {kGradientShrink.at}; }
  template <typename Reading>
  Weighted<Reading> inputReading(const Reading& reading) const { return {reading, input_.scales}; }
  Weighted<AsTheyAre> gradientReading() const {
    static constexpr AsTheyAre asTheyAre;
    return {asTheyAre, gradient_.scales};
  }
  FactorUnits units() const { return {input_.units, gradient_.units}; }

 private:
  /// Of each channel: first its bound.
  struct Factor {
    void scale(int64_t channels) {
      for (int64_t c = 0; c < channels; ++c) {
        scales[c] = scaleTo(kGradientLimit, units[c]);
        units[c] *= 1 / kGradientLimit;
      }
    }
    float scales[kNarrowWeights / kChannels];
    float units[kNarrowWeights / kChannels];
  };
  Factor input_, gradient_;
};
#endif

}  // namespace
}  // namespace cohort
