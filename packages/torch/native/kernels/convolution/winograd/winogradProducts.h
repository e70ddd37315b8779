// The products of Winograd's convolution: for each position in a tile a small matrix product, with a tile of the result in
// registers. Numbers of 16 bits are multiplied two neighbouring channels at a time: bfloat16 is summed in float32 (AVX-512 BF16),
// integers in 32 bits (AVX-512 VNNI).
#pragma once

#include "kernels/convolution/winograd/winogradBounds.h"
#include "kernels/convolution/winograd/winogradWeights.h"

namespace cohort {
namespace {

/// Tiles whose products are in registers at a time.
constexpr int kRows = kWidth == 16 ? 8 : 6;

/// Channels that are summed at a time in float32. Sums of such sums are nearer to exact ones than sums of all channels, which
/// are most of the error of large tiles.
constexpr int64_t kSummed = 16;

/// out[r] = sum over c of left[r][c] right[c], for kCount rows and one vector; rows of `right` are `panel` numbers apart.
template <int kCount, int kDepth>
COHORT_INLINE void multiply(int64_t channels, const float* left, const float* right, int64_t panel, float* out,
                            int64_t outStride) {
  const int64_t depth = channelsOf<kDepth>(channels);
  V totals[kCount] = {};
  for (int64_t first = 0; first < depth; first += kSummed) {
    V sums[kCount] = {};
    for (int64_t c = first; c < first + kSummed; ++c) {
      const V values = load<kWidth>(right + c * panel);
      for (int r = 0; r < kCount; ++r) sums[r] += values * left[r * depth + c];
    }
    for (int r = 0; r < kCount; ++r) totals[r] += sums[r];
  }
  for (int r = 0; r < kCount; ++r) store<kWidth>(out + r * outStride, totals[r]);
}

#ifdef COHORT_PAIRS
template <int kCount, int kVectors, int kDepth>
COHORT_INLINE void multiply(int64_t channels, const BFloat16* left, const BFloat16* right, float* out, int64_t outStride) {
  const int64_t depth = channelsOf<kDepth>(channels);
  __m512 sums[kCount][kVectors] = {};
  for (int64_t c = 0; c < depth; c += 2) {
    __m512bh values[kVectors];
    for (int k = 0; k < kVectors; ++k) {
      values[k] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(right + (c * kVectors + 2 * k) * kWidth));
    }
    for (int r = 0; r < kCount; ++r) {
      int pair;
      memcpy(&pair, left + r * depth + c, sizeof(pair));
      const auto factor = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
      for (int k = 0; k < kVectors; ++k) sums[r][k] = _mm512_dpbf16_ps(sums[r][k], values[k], factor);
    }
  }
  for (int r = 0; r < kCount; ++r) {
    for (int k = 0; k < kVectors; ++k) _mm512_storeu_ps(out + r * outStride + k * kWidth, sums[r][k]);
  }
}
/// The same of integers: sums of kIntegerDepth channels at most, times the bound of a row, the unit of the position and the
/// factor of the output channel.
template <int kCount, int kVectors, int kDepth>
COHORT_INLINE void multiply(int64_t channels, const int16_t* left, const int16_t* right, const float* bounds, float unit,
                            const float* factors, float* out, int64_t outStride) {
  const int64_t depth = channelsOf<kDepth>(channels);
  __m512 totals[kCount][kVectors] = {};
  for (int64_t first = 0; first < depth; first += kIntegerDepth) {
    __m512i sums[kCount][kVectors] = {};
    for (int64_t c = first; c < least(depth, first + kIntegerDepth); c += 2) {
      __m512i values[kVectors];
      for (int k = 0; k < kVectors; ++k) values[k] = _mm512_loadu_si512(right + (c * kVectors + 2 * k) * kWidth);
      for (int r = 0; r < kCount; ++r) {
        int pair;
        memcpy(&pair, left + r * depth + c, sizeof(pair));
        for (int k = 0; k < kVectors; ++k) sums[r][k] = _mm512_dpwssd_epi32(sums[r][k], values[k], _mm512_set1_epi32(pair));
      }
    }
    for (int r = 0; r < kCount; ++r) {
      for (int k = 0; k < kVectors; ++k) totals[r][k] = _mm512_add_ps(totals[r][k], _mm512_cvtepi32_ps(sums[r][k]));
    }
  }
  for (int k = 0; k < kVectors; ++k) {
    const __m512 factor = _mm512_mul_ps(_mm512_loadu_ps(factors + k * kWidth), _mm512_set1_ps(unit));
    for (int r = 0; r < kCount; ++r) {
      const __m512 counted = _mm512_mul_ps(totals[r][k], _mm512_set1_ps(bounds[r]));
      _mm512_storeu_ps(out + r * outStride + k * kWidth, _mm512_mul_ps(counted, factor));
    }
  }
}
#endif

/// Calls `each(first row, how many of them)` for tiles in kRows, and as many more as fill the last rows: the second half of those
/// only where it is needed.
template <typename Each>
COHORT_INLINE void forRows(int64_t tiles, const Each& each) {
  int64_t row = 0;
  for (; row + kRows / 2 < tiles; row += kRows) each(row, std::integral_constant<int, kRows>());
  if (row < tiles) each(row, std::integral_constant<int, kRows / 2>());
}

/// All products of `tiles` tiles. kDepth is the number of input channels, or 0 for any; integers have a bound for each tile.
template <typename Form, int kDepth, typename Number>
void multiplyTiles(const WinogradShape& shape, int64_t tiles, const Number* transformed, const Number* weights,
                   [[maybe_unused]] const float* bounds, float* products) {
  const int64_t in = shape.inChannels, out = shape.outChannels, panel = panelOf(out), block = blockTilesOf<Form>(shape);
  const int64_t stride = weightStrideOf(shape);
  for (int64_t p = 0; p < Form::kPositions; ++p) {
    for (int64_t o = 0; o < out; o += panel) {
      const Number* const right = weights + p * stride + o * in;
      const Number* const left = transformed + p * strideOf<Form, 0>(in, block);
      float* const to = products + p * strideOf<Form, 0>(out, block) + o;
      if constexpr (sizeof(Number) == 4) {
        for (int64_t k = 0; k < panel; k += kWidth) {
          forRows(tiles, [&](int64_t row, auto rows) {
            multiply<rows(), kDepth>(in, left + row * in, right + k, panel, to + row * out + k, out);
          });
        }
      }
#ifdef COHORT_PAIRS
      if constexpr (sizeof(Number) == 2) {
        const auto inPanels = [&](auto vectors) {
          forRows(tiles, [&](int64_t row, auto rows) {
            if constexpr (std::is_same_v<Number, BFloat16>) {
              multiply<rows(), vectors(), kDepth>(in, left + row * in, right, to + row * out, out);
            } else {
              multiply<rows(), vectors(), kDepth>(in, left + row * in, right, bounds + row, unitOf(shape, weights, p),
                                                  factorsOf<Form>(shape, weights) + in + o, to + row * out, out);
            }
          });
        };
        if (panel == 32) {
          inPanels(std::integral_constant<int, 2>());
        } else {
          inPanels(std::integral_constant<int, 1>());
        }
      }
#endif
    }
  }
}

/// to[c][k] += sum over tiles of left[t][c] right[t][k], for kCount channels and kVectors vectors. The block
/// is summed on its own first, which is nearer to the exact sum.
template <int kCount, int kVectors>
COHORT_INLINE void accumulate(int64_t tiles, const float* left, int64_t leftStride, const float* right, int64_t rightStride,
                              float* to) {
  V sums[kCount][kVectors] = {};
  for (int64_t t = 0; t < tiles; ++t) {
    V values[kVectors];
    for (int k = 0; k < kVectors; ++k) values[k] = load<kWidth>(right + t * rightStride + k * kWidth);
    for (int r = 0; r < kCount; ++r) {
      const float factor = left[t * leftStride + r];
      for (int k = 0; k < kVectors; ++k) sums[r][k] += values[k] * factor;
    }
  }
  for (int r = 0; r < kCount; ++r) {
    for (int k = 0; k < kVectors; ++k) {
      float* const total = to + r * rightStride + k * kWidth;
      store<kWidth>(total, load<kWidth>(total) + sums[r][k]);
    }
  }
}

#ifdef COHORT_PAIRS
/// The same of pairs of tiles in bfloat16.
template <int kCount, int kVectors>
COHORT_INLINE void accumulate(int64_t pairs, const uint32_t* left, int64_t leftStride, const uint32_t* right,
                              int64_t rightStride, float* to) {
  __m512 sums[kCount][kVectors];
  for (int r = 0; r < kCount; ++r) {
    for (int k = 0; k < kVectors; ++k) sums[r][k] = _mm512_loadu_ps(to + r * rightStride + k * kWidth);
  }
  for (int64_t t = 0; t < pairs; ++t) {
    __m512bh values[kVectors];
    for (int k = 0; k < kVectors; ++k) {
      values[k] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(right + t * rightStride + k * kWidth));
    }
    for (int r = 0; r < kCount; ++r) {
      const auto factor = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(left[t * leftStride + r])));
      for (int k = 0; k < kVectors; ++k) sums[r][k] = _mm512_dpbf16_ps(sums[r][k], values[k], factor);
    }
  }
  for (int r = 0; r < kCount; ++r) {
    for (int k = 0; k < kVectors; ++k) _mm512_storeu_ps(to + r * rightStride + k * kWidth, sums[r][k]);
  }
}

/// The same of integers, whose sums are added `factor` times both units.
template <int kCount, int kVectors>
COHORT_INLINE void accumulateIntegers(int64_t pairs, const uint32_t* left, int64_t leftStride, const uint32_t* right,
                                      int64_t rightStride, const float* leftUnits, const float* rightUnits, float factor, float* to) {
  __m512i sums[kCount][kVectors] = {};
  for (int64_t t = 0; t < pairs; ++t) {
    __m512i values[kVectors];
    for (int k = 0; k < kVectors; ++k) values[k] = _mm512_loadu_si512(right + t * rightStride + k * kWidth);
    for (int r = 0; r < kCount; ++r) {
      const __m512i factor = _mm512_set1_epi32(static_cast<int>(left[t * leftStride + r]));
      for (int k = 0; k < kVectors; ++k) sums[r][k] = _mm512_dpwssd_epi32(sums[r][k], values[k], factor);
    }
  }
  for (int r = 0; r < kCount; ++r) {
    const __m512 unit = _mm512_set1_ps(leftUnits[r] * factor);
    for (int k = 0; k < kVectors; ++k) {
      float* const total = to + r * rightStride + k * kWidth;
      const __m512 counted = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][k]), _mm512_loadu_ps(rightUnits + k * kWidth));
      _mm512_storeu_ps(total, _mm512_fmadd_ps(counted, unit, _mm512_loadu_ps(total)));
    }
  }
}
#endif

/// What some tiles, or pairs of tiles, give to the sums of a weight gradient, [position][inChannels][outChannels]. Products of
/// integers count both units times the growth of their position.
template <typename Form, typename Kept, typename Number>
void accumulateTiles(const WinogradShape& shape, int64_t tiles, const Number* transformed, int64_t inStride, const Number* gradient,
                     int64_t outStride, [[maybe_unused]] const FactorUnits& units, float* sums) {
  const int64_t in = shape.inChannels, out = shape.outChannels, panel = panelOf(out);
  constexpr int kFew = kWidth == 16 ? 8 : 4;
  for (int64_t p = 0; p < Form::kPositions; ++p) {
    const Number* const left = transformed + p * inStride;
    const Number* const right = gradient + p * outStride;
    float* const to = sums + p * weightStrideOf(shape);
    const auto add = [&](auto count, auto vectors, int64_t i, int64_t o) {
      float* const start = to + i * out + o;
#ifdef COHORT_PAIRS
      if constexpr (std::is_same_v<Kept, Scaled>) {
        const float growth = kInputGrowth.at[p] * kGradientGrowth.at[p];
        return accumulateIntegers<count(), vectors()>(tiles, left + i, in, right + o, out, units.input + i, units.gradient + o,
                                                      growth, start);
      }
#endif
      accumulate<count(), vectors()>(tiles, left + i, in, right + o, out, start);
    };
    for (int64_t o = 0; o < out; o += panel) {
      if (kWidth == 8 || panel == 32) {
        for (int64_t i = 0; i < in; i += kFew) add(std::integral_constant<int, kFew>(), std::integral_constant<int, 2>(), i, o);
      } else {
        for (int64_t i = 0; i < in; i += 16) add(std::integral_constant<int, 16>(), std::integral_constant<int, 1>(), i, o);
      }
    }
  }
}

}  // namespace
}  // namespace cohort
