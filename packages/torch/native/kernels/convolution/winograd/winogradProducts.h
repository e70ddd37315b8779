// The products of Winograd's convolution: for each position in a tile a small matrix product, with a tile of the result in
// registers. In bfloat16 two neighbouring channels are multiplied at a time (AVX-512 BF16) and summed in float32.
#pragma once

#include "kernels/convolution/winograd/winogradTransforms.h"

namespace cohort {
namespace {

/// Tiles whose products are in registers at a time.
constexpr int kRows = kWidth == 16 ? 8 : 6;

/// Output channels whose weights lie together: two vectors, or one of AVX-512 where their number asks for it.
inline int64_t panelOf(int64_t outChannels) { return outChannels % 32 == 0 && kWidth == 16 ? 32 : 16; }

/// Where the weight of input channel `i` and output channel `o` lies: [outChannels / panel][inChannels][panel], and in
/// bfloat16 [outChannels / panel][inChannels / 2][panel][2].
template <typename E>
COHORT_INLINE int64_t placeOf(int64_t in, int64_t panel, int64_t i, int64_t o) {
  if constexpr (Element<E>::kIsNarrow) return ((o / panel) * in + (i & ~INT64_C(1))) * panel + 2 * (o % panel) + (i & 1);
  return ((o / panel) * in + i) * panel + o % panel;
}

/// Transforms the weights of input channels `first` to `first + kWidth` for all positions.
template <typename Form, typename E>
void transformWeights(const WinogradShape& shape, const float* weight, bool isTurned, int64_t first, E* to) {
  const int64_t in = shape.inChannels, out = shape.outChannels, panel = panelOf(out), stride = weightStrideOf(shape);
  constexpr int kPositions = Form::kPositions;
  V spread[kPositions];
  if constexpr (!Element<E>::kIsNarrow) {
    for (int64_t i = first; isTurned && i < first + kWidth; ++i) {
      for (int64_t o = 0; o < out; o += kWidth) {
        transformKernel<Form>(weight + i * 9 * out + o, out, true, spread);
        for (int p = 0; p < kPositions; ++p) store<kWidth>(to + p * stride + placeOf<E>(in, panel, i, o), spread[p]);
      }
    }
    // Vectors of input channels become rows of output channels.
    for (int64_t o = 0; !isTurned && o < out; o += kWidth) {
      V squares[kPositions][kWidth];
      for (int j = 0; j < kWidth; ++j) {
        transformKernel<Form>(weight + (o + j) * 9 * in + first, in, false, spread);
        for (int p = 0; p < kPositions; ++p) squares[p][j] = spread[p];
      }
      for (int p = 0; p < kPositions; ++p) {
        transpose(squares[p]);
        float* const start = to + p * stride + placeOf<E>(in, panel, first, o);
        for (int j = 0; j < kWidth; ++j) store<kWidth>(start + j * panel, squares[p][j]);
      }
    }
  } else {
    // Two neighbouring input channels are one number of 32 bits.
    auto* const pairs = reinterpret_cast<uint32_t*>(to);
    for (int64_t i = first; isTurned && i < first + kWidth; i += 2) {
      for (int64_t o = 0; o < out; o += kWidth) {
        V next[kPositions];
        transformKernel<Form>(weight + i * 9 * out + o, out, true, spread);
        transformKernel<Form>(weight + (i + 1) * 9 * out + o, out, true, next);
        for (int p = 0; p < kPositions; ++p) {
          uint16_t low[kWidth], high[kWidth];
          store<kWidth>(reinterpret_cast<BFloat16*>(low), spread[p]);
          store<kWidth>(reinterpret_cast<BFloat16*>(high), next[p]);
          uint32_t* const start = pairs + (p * stride + placeOf<E>(in, panel, i, o)) / 2;
          for (int j = 0; j < kWidth; ++j) start[j] = low[j] | static_cast<uint32_t>(high[j]) << 16;
        }
      }
    }
#ifdef __AVX512BF16__
    // Those of two positions side by side fill a vector: rows of output channels are taken to columns as above.
    for (int64_t o = 0; !isTurned && o < out; o += kWidth) {
      V squares[kPositions / 2][kWidth];
      for (int j = 0; j < kWidth; ++j) {
        transformKernel<Form>(weight + (o + j) * 9 * in + first, in, false, spread);
        for (int p = 0; p < kPositions; p += 2) {
          squares[p / 2][j] = reinterpret_cast<V>(
              _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(spread[p + 1]), reinterpret_cast<__m512>(spread[p])));
        }
      }
      for (int p = 0; p < kPositions; p += 2) {
        V(&square)[kWidth] = squares[p / 2];
        transpose(square);
        for (int j = 0; j < kWidth; ++j) {
          const int64_t position = p + j / (kWidth / 2), pair = j % (kWidth / 2);
          uint32_t* const start = pairs + (position * stride + placeOf<E>(in, panel, first, o)) / 2;
          memcpy(start + pair * panel, &square[j], sizeof(V));
        }
      }
    }
#endif
  }
}

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

#ifdef __AVX512BF16__
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
#endif

/// Calls `each(first row, how many of them)` for tiles in kRows, and as many more as fill the last rows: the second half of those
/// only where it is needed.
template <typename Each>
COHORT_INLINE void forRows(int64_t tiles, const Each& each) {
  int64_t row = 0;
  for (; row + kRows / 2 < tiles; row += kRows) each(row, std::integral_constant<int, kRows>());
  if (row < tiles) each(row, std::integral_constant<int, kRows / 2>());
}

/// All products of `tiles` tiles. kDepth is the number of input channels, or 0 for any.
template <typename Form, int kDepth, typename E>
void multiplyTiles(const WinogradShape& shape, int64_t tiles, const E* transformed, const E* weights, float* products) {
  const int64_t in = shape.inChannels, out = shape.outChannels, panel = panelOf(out), block = blockTilesOf<Form>(shape);
  const int64_t stride = weightStrideOf(shape);
  for (int64_t p = 0; p < Form::kPositions; ++p) {
    for (int64_t o = 0; o < out; o += panel) {
      const E* const right = weights + p * stride + o * in;
      const E* const left = transformed + p * strideOf<Form, 0>(in, block);
      float* const to = products + p * strideOf<Form, 0>(out, block) + o;
      if constexpr (!Element<E>::kIsNarrow) {
        for (int64_t k = 0; k < panel; k += kWidth) {
          forRows(tiles, [&](int64_t row, auto rows) {
            multiply<rows(), kDepth>(in, left + row * in, right + k, panel, to + row * out + k, out);
          });
        }
      } else if (panel == 32) {
        forRows(tiles, [&](int64_t row, auto rows) {
          multiply<rows(), 2, kDepth>(in, left + row * in, right, to + row * out, out);
        });
      } else {
        forRows(tiles, [&](int64_t row, auto rows) {
          multiply<rows(), 1, kDepth>(in, left + row * in, right, to + row * out, out);
        });
      }
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

#ifdef __AVX512BF16__
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
#endif

/// What some tiles, or pairs of tiles, give to the sums of a weight gradient, [position][inChannels][outChannels].
template <typename Form, typename E>
void accumulateTiles(const WinogradShape& shape, int64_t tiles, const E* transformed, int64_t inStride, const E* gradient,
                     int64_t outStride, float* sums) {
  const int64_t in = shape.inChannels, out = shape.outChannels, panel = panelOf(out);
  constexpr int kFew = kWidth == 16 ? 8 : 4;
  for (int64_t p = 0; p < Form::kPositions; ++p) {
    const E* const left = transformed + p * inStride;
    const E* const right = gradient + p * outStride;
    float* const to = sums + p * weightStrideOf(shape);
    for (int64_t o = 0; o < out; o += panel) {
      if (kWidth == 8 || panel == 32) {
        for (int64_t i = 0; i < in; i += kFew) {
          accumulate<kFew, 2>(tiles, left + i, in, right + o, out, to + i * out + o);
        }
      } else {
        for (int64_t i = 0; i < in; i += 16) accumulate<16, 1>(tiles, left + i, in, right + o, out, to + i * out + o);
      }
    }
  }
}

}  // namespace
}  // namespace cohort
