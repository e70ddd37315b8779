// The weights of Winograd's convolution: transformed for all positions, in the order in which products read them, and where they
// become integers, evened out between channels first.
#pragma once

#include "kernels/convolution/winograd/winogradBounds.h"
#include "kernels/convolution/winograd/winogradTransforms.h"

namespace cohort {
namespace {

/// Output channels whose weights lie together: two vectors, or one of AVX-512 where their number asks for it.
inline int64_t panelOf(int64_t outChannels) { return outChannels % 32 == 0 && kWidth == 16 ? 32 : 16; }

/// Where the weight of input channel `i` and output channel `o` lies: [outChannels / panel][inChannels][panel], and of 16 bits
/// [outChannels / panel][inChannels / 2][panel][2].
template <typename Number>
COHORT_INLINE int64_t placeOf(int64_t in, int64_t panel, int64_t i, int64_t o) {
  if constexpr (sizeof(Number) == 2) return ((o / panel) * in + (i & ~INT64_C(1))) * panel + 2 * (o % panel) + (i & 1);
  return ((o / panel) * in + i) * panel + o % panel;
}

/// Transforms the weights of input channels `first` to `first + kWidth` for all positions.
template <typename Form, typename Kept>
void transformWeights(const WinogradShape& shape, const float* weight, bool isTurned, int64_t first, [[maybe_unused]] const Kept& kept,
                      typename Kept::Number* to) {
  using Number = typename Kept::Number;
  const int64_t in = shape.inChannels, out = shape.outChannels, panel = panelOf(out), stride = weightStrideOf(shape);
  constexpr int kPositions = Form::kPositions;
  V spread[kPositions];
  if constexpr (sizeof(Number) == 4) {
    for (int64_t i = first; isTurned && i < first + kWidth; ++i) {
      for (int64_t o = 0; o < out; o += kWidth) {
        transformKernel<Form>(weight + i * 9 * out + o, out, true, spread);
        for (int p = 0; p < kPositions; ++p) store<kWidth>(to + p * stride + placeOf<Number>(in, panel, i, o), spread[p]);
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
        float* const start = to + p * stride + placeOf<Number>(in, panel, first, o);
        for (int j = 0; j < kWidth; ++j) store<kWidth>(start + j * panel, squares[p][j]);
      }
    }
  }
#ifdef COHORT_PAIRS
  if constexpr (sizeof(Number) == 2) {
    // Two neighbouring input channels are one number of 32 bits.
    auto* const pairs = reinterpret_cast<uint32_t*>(to);
    for (int64_t i = first; isTurned && i < first + kWidth; i += 2) {
      for (int64_t o = 0; o < out; o += kWidth) {
        V next[kPositions];
        transformKernel<Form>(weight + i * 9 * out + o, out, true, spread);
        transformKernel<Form>(weight + (i + 1) * 9 * out + o, out, true, next);
        kept.even(i, o, spread);
        kept.even(i + 1, o, next);
        for (int p = 0; p < kPositions; ++p) {
          _mm512_storeu_si512(pairs + (p * stride + placeOf<Number>(in, panel, i, o)) / 2, kept.inTurn(p, spread[p], next[p]));
        }
      }
    }
    // Those of two positions side by side fill a vector: rows of output channels are taken to columns as above.
    for (int64_t o = 0; !isTurned && o < out; o += kWidth) {
      V squares[kPositions / 2][kWidth];
      for (int j = 0; j < kWidth; ++j) {
        transformKernel<Form>(weight + (o + j) * 9 * in + first, in, false, spread);
        kept.even(o + j, first, spread);
        for (int p = 0; p < kPositions; p += 2) {
          squares[p / 2][j] = reinterpret_cast<V>(kept.sideBySide(p, spread[p], spread[p + 1]));
        }
      }
      for (int p = 0; p < kPositions; p += 2) {
        V(&square)[kWidth] = squares[p / 2];
        transpose(square);
        for (int j = 0; j < kWidth; ++j) {
          const int64_t position = p + j / (kWidth / 2), pair = j % (kWidth / 2);
          uint32_t* const start = pairs + (position * stride + placeOf<Number>(in, panel, first, o)) / 2;
          memcpy(start + pair * panel, &square[j], sizeof(V));
        }
      }
    }
  }
#endif
}

#ifdef COHORT_PAIRS
/// The largest magnitude of each position of all transformed weights.
template <typename Form>
void boundWeights(const WinogradShape& shape, const float* weight, bool isTurned, const Scaled& kept,
                  float (&bounds)[Form::kPositions]) {
  const int64_t rows = isTurned ? shape.inChannels : shape.outChannels;
  const int64_t channels = isTurned ? shape.outChannels : shape.inChannels;
  __m512i magnitudes[Form::kPositions] = {};
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t channel = 0; channel < channels; channel += kWidth) {
      V spread[Form::kPositions];
      transformKernel<Form>(weight + row * 9 * channels + channel, channels, isTurned, spread);
      kept.even(row, channel, spread);
      for (int p = 0; p < Form::kPositions; ++p) magnitudes[p] = _mm512_max_epu32(magnitudes[p], magnitudesOf(spread[p]));
    }
  }
  for (int p = 0; p < Form::kPositions; ++p) bounds[p] = largest(magnitudes[p]);
}
#endif

/// How the weights of a convolution are kept. Where they are integers, what takes products back to numbers, but for the bound
/// of the input, lies behind those of each position.
template <typename Form, typename E>
struct KeptWeights {
  KeptWeights(const WinogradShape& shape, const float* weight, bool isTurned) {
#ifdef COHORT_PAIRS
    if constexpr (kIsScaled<Form, E>) {
      const FixedLimits limits(shape.inChannels);
      even(shape, weight, isTurned);
      boundWeights<Form>(shape, weight, isTurned, kept(), units);
      for (int p = 0; p < Form::kPositions; ++p) {
        scales[p] = scaleTo(limits.weight, units[p]);
        units[p] *= kInputGrowth.at[p] / (limits.input * limits.weight);
      }
    }
#endif
  }
  Numbers<Form, E> kept() const {
    if constexpr (kIsScaled<Form, E>) return {scales, rowInverses, channelInverses};
    return {};
  }
#ifdef COHORT_PAIRS
  /// Factors by which weights are divided so that the largest of every channel is near 1: of input channels, which the pixels
  /// are multiplied by instead, then of output channels.
  void even(const WinogradShape& shape, const float* weight, bool isTurned) {
    const int64_t rows = isTurned ? shape.inChannels : shape.outChannels;
    const int64_t channels = isTurned ? shape.outChannels : shape.inChannels;
    for (float& each : channelInverses) each = 1;
    for (float& each : rowInverses) each = 1;
    const auto magnitudes = [&](int64_t row, int64_t channel) {
      __m512 all = _mm512_setzero_ps();
      for (int64_t tap = 0; tap < 9; ++tap) {
        all = _mm512_max_ps(all, _mm512_abs_ps(_mm512_loadu_ps(weight + (row * 9 + tap) * channels + channel)));
      }
      return _mm512_mul_ps(all, _mm512_mul_ps(_mm512_loadu_ps(channelInverses + channel), _mm512_set1_ps(rowInverses[row])));
    };
    const auto inverse = [](float value) { return value > 1e-15f && value < 1e15f ? 1 / value : 1; };
    const auto evenRows = [&] {
      for (int64_t row = 0; row < rows; ++row) {
        __m512 all = _mm512_setzero_ps();
        for (int64_t channel = 0; channel < channels; channel += kWidth) all = _mm512_max_ps(all, magnitudes(row, channel));
        rowInverses[row] *= inverse(_mm512_reduce_max_ps(all));
      }
    };
    evenRows();
    for (int64_t channel = 0; channel < channels; channel += kWidth) {
      __m512 all = _mm512_setzero_ps();
      for (int64_t row = 0; row < rows; ++row) all = _mm512_max_ps(all, magnitudes(row, channel));
      float numbers[kWidth];
      _mm512_storeu_ps(numbers, all);
      for (int c = 0; c < kWidth; ++c) channelInverses[channel + c] *= inverse(numbers[c]);
    }
    evenRows();
    const float* const ofInput = isTurned ? rowInverses : channelInverses;
    const float* const ofOutput = isTurned ? channelInverses : rowInverses;
    for (int64_t i = 0; i < shape.inChannels; ++i) factors[i] = 1 / ofInput[i];
    for (int64_t o = 0; o < shape.outChannels; ++o) factors[shape.inChannels + o] = 1 / ofOutput[o];
  }
#endif

  float scales[Form::kPositions];
  float units[Form::kPositions];
  static constexpr int kMost = kIsScaled<Form, E> ? kNarrowWeights / kChannels : 1;
  float rowInverses[kMost], channelInverses[kMost], factors[2 * kMost];
};

/// The unit of a position's products lies behind its weights.
template <typename Number>
COHORT_INLINE Number* unitPlace(const WinogradShape& shape, Number* weights, int64_t position) {
  return weights + position * weightStrideOf(shape) + shape.inChannels * shape.outChannels;
}
COHORT_INLINE float unitOf(const WinogradShape& shape, const int16_t* weights, int64_t position) {
  float unit;
  memcpy(&unit, unitPlace(shape, weights, position), sizeof(unit));
  return unit;
}
template <typename Form, typename Number>
void storeUnits(const WinogradShape& shape, const float (&units)[Form::kPositions], Number* weights) {
  for (int p = 0; p < Form::kPositions; ++p) memcpy(unitPlace(shape, weights, p), &units[p], sizeof(units[p]));
}

/// Factors of input channels, then of output channels, lie behind all weights.
template <typename Form, typename Number>
COHORT_INLINE float* factorsOf(const WinogradShape& shape, Number* weights) {
  return reinterpret_cast<float*>(const_cast<std::remove_const_t<Number>*>(weights) + Form::kPositions * weightStrideOf(shape));
}

}  // namespace
}  // namespace cohort
