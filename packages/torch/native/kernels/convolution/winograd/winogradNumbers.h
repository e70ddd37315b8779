// How transformed numbers are kept until they are multiplied, and where they are put.
//
// Float32 stays as it is. Numbers of small tiles in bfloat16 are rounded to bfloat16. Large tiles would magnify that rounding
// threefold: theirs become integers of 16 bits, in units of what a bound says is the largest number (winogradBounds.h),
// which are finer than bfloat16 and are multiplied as fast, in pairs with sums of 32 bits (AVX-512 VNNI).
#pragma once

#include "kernels/convolution/winograd/winogradBlocks.h"

namespace cohort {
namespace {

struct Unrounded {
  using Number = float;
};

#ifdef COHORT_PAIRS
struct Rounded {
  using Number = BFloat16;

  /// 32 numbers: those of one position and those of the next.
  COHORT_INLINE __m512i sideBySide(int, V first, V second) const {
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(second), reinterpret_cast<__m512>(first)));
  }
  /// The same of two vectors of one position, in turn.
  COHORT_INLINE __m512i inTurn(int, V first, V second) const {
    return _mm512_permutexvar_epi16(order(), sideBySide(0, first, second));
  }
  template <int kCount>
  COHORT_INLINE void even(int64_t, int64_t, V (&)[kCount]) const {}

 private:
  /// 16 numbers and the 16 after them, in turn.
  static __m512i order() {
    alignas(64) uint16_t numbers[32];
    for (int i = 0; i < 16; ++i) {
      numbers[2 * i] = static_cast<uint16_t>(i);
      numbers[2 * i + 1] = static_cast<uint16_t>(16 + i);
    }
    return _mm512_load_si512(numbers);
  }
};

struct Scaled {
  using Number = int16_t;

  COHORT_INLINE __m512i sideBySide(int position, V first, V second) const {
    alignas(64) uint16_t lower[32];
    for (int i = 0; i < 32; ++i) lower[i] = static_cast<uint16_t>(2 * i);
    return _mm512_permutex2var_epi16(integers(position, first), _mm512_load_si512(lower), integers(position + 1, second));
  }
  COHORT_INLINE __m512i inTurn(int position, V first, V second) const {
    return _mm512_mask_blend_epi16(0xAAAAAAAA, integers(position, first), _mm512_slli_epi32(integers(position, second), 16));
  }

  /// What each position is multiplied by: no result may leave the range of the integers.
  const float* scales;
  /// What weights are multiplied by before, by rows and by channels.
  const float* rowInverses = nullptr;
  const float* channelInverses = nullptr;

  template <int kCount>
  COHORT_INLINE void even(int64_t row, int64_t channel, V (&spread)[kCount]) const {
    const V factor = load<kWidth>(channelInverses + channel) * rowInverses[row];
    for (V& each : spread) each *= factor;
  }

 private:
  /// In the lower halves: the sum has its last bit where integers have theirs, and rounds to it.
  COHORT_INLINE __m512i integers(int position, V value) const {
    constexpr float kRounding = 12582912;
    const __m512 sum =
        _mm512_fmadd_ps(reinterpret_cast<__m512>(value), _mm512_set1_ps(scales[position]), _mm512_set1_ps(kRounding));
    return _mm512_castps_si512(sum);
  }
};
#endif

/// How numbers of tiles of such maps are kept.
template <typename Form, typename E>
struct NumbersOf {
  using Type = Unrounded;
};
#ifdef COHORT_PAIRS
template <>
struct NumbersOf<SmallTiles, BFloat16> {
  using Type = Rounded;
};
template <>
struct NumbersOf<LargeTiles, BFloat16> {
  using Type = Scaled;
};
#endif
template <typename Form, typename E>
using Numbers = typename NumbersOf<Form, E>::Type;
template <typename Form, typename E>
constexpr bool kIsScaled = sizeof(typename Numbers<Form, E>::Number) == 2 && Form::kSide > 4;

/// Where numbers go: `to[position * stride + place * channels + channel]`, a place for each tile.
template <typename Form, typename Kept, int kNumber>
struct Rows {
  /// Whether two tiles side by side can be put at once.
  static constexpr bool kTakesTwo = false;
  /// The positions of a row of a tile.
  COHORT_INLINE void put(int64_t place, int64_t channel, int y, const V (&numbers)[Form::kSide]) const {
    const int64_t channels = channelsOf<kNumber>(given), stride = strideOf<Form, kNumber>(channels, tiles);
    typename Kept::Number* const start = to + Form::kSide * y * stride + place * channels + channel;
    for (int x = 0; x < Form::kSide; x += 2) {
      auto* const first = start + x * stride;
      auto* const second = start + (x + 1) * stride;
#ifdef COHORT_PAIRS
      if constexpr (sizeof(*to) == 2) {
        const __m512i both = kept.sideBySide(Form::kSide * y + x, numbers[x], numbers[x + 1]);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(first), _mm512_castsi512_si256(both));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(second), _mm512_extracti64x4_epi64(both, 1));
        continue;
      }
#endif
      if constexpr (sizeof(*to) == 4) {
        store<kWidth>(first, numbers[x]);
        store<kWidth>(second, numbers[x + 1]);
      }
    }
  }
  void finish(int64_t) const {}

  typename Kept::Number* to;
  int64_t given;
  /// Of a block.
  int64_t tiles;
  Kept kept;
};

#ifdef COHORT_PAIRS
/// The same as pairs of 16 bits: `to[position * stride / 2 + (place / 2) * channels + channel]` holds an even place and the next.
template <typename Form, typename Kept, int kNumber>
struct Pairs {
  static constexpr int kSide = Form::kSide;
  /// Two large tiles would not fit into registers.
  static constexpr bool kTakesTwo = kSide == 4;
  COHORT_INLINE void put(int64_t place, int64_t channel, int y, const V (&numbers)[kSide]) const {
    const int64_t channels = channelsOf<kNumber>(given), stride = strideOf<Form, kNumber>(channels, tiles) / 2;
    float* const waiting = even + y * kSide * channels + channel;
    uint32_t* const start = to + y * kSide * stride + (place / 2) * channels + channel;
    for (int x = 0; x < kSide; ++x) {
      if (place % 2 == 0) {
        store<kWidth>(waiting + x * channels, numbers[x]);
      } else {
        const V first = load<kWidth>(waiting + x * channels);
        _mm512_storeu_si512(start + x * stride, kept.inTurn(y * kSide + x, first, numbers[x]));
      }
    }
  }
  /// The same of an even place and the next at once.
  COHORT_INLINE void putBoth(int64_t place, int64_t channel, int y, const V (&first)[kSide], const V (&second)[kSide]) const {
    const int64_t channels = channelsOf<kNumber>(given), stride = strideOf<Form, kNumber>(channels, tiles) / 2;
    uint32_t* const start = to + y * kSide * stride + (place / 2) * channels + channel;
    for (int x = 0; x < kSide; ++x) {
      _mm512_storeu_si512(start + x * stride, kept.inTurn(y * kSide + x, first[x], second[x]));
    }
  }
  /// Gives the last place of an odd number zeros for a neighbour.
  void finish(int64_t places) const {
    if (places % 2 == 0) return;
    const V zeros[kSide] = {};
    for (int64_t channel = 0; channel < given; channel += kWidth) {
      for (int y = 0; y < kSide; ++y) put(places, channel, y, zeros);
    }
  }

  uint32_t* to;
  /// What an even place waits in, `[position][channels]`.
  float* even;
  int64_t given;
  /// Of a block.
  int64_t tiles;
  Kept kept;
};
#endif

/// Where the factors of a weight gradient go: float32 in rows, others in pairs, for which `even` is what an even place waits in.
template <typename Form, int kNumber, typename Kept, typename Number>
COHORT_INLINE auto sinkOf(Number* to, [[maybe_unused]] float* even, int64_t channels, int64_t tiles, const Kept& kept) {
#ifdef COHORT_PAIRS
  if constexpr (sizeof(typename Kept::Number) == 2) return Pairs<Form, Kept, kNumber>{to, even, channels, tiles, kept};
#endif
  if constexpr (sizeof(typename Kept::Number) == 4) return Rows<Form, Kept, kNumber>{to, channels, tiles, kept};
}

}  // namespace
}  // namespace cohort
