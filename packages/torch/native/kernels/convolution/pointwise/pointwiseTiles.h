// The inner loops of 1x1 convolutions: matrix products with a tile of the result in registers. A row of the tile takes one
// number of the left matrix times a few vectors of the right one; in bfloat16 a "number" is a pair of neighbours, which one
// instruction multiplies and adds.
#pragma once

#include "kernels/floatVectors.h"

#include <immintrin.h>

namespace cohort {
namespace {

/// Vectors in a row of a tile, and vectors in a tile; with those of the right matrix and a number of the left one they fill
/// the 32 registers of AVX-512.
constexpr int kMostVectors = 4;
constexpr int kTileVectors = 24;
/// Rows of a tile by its vectors.
constexpr int rowsOf(int vectors) { return kTileVectors / vectors < 12 ? kTileVectors / vectors : 12; }

/// Two neighbouring numbers in bfloat16.
struct Pair {
  uint32_t bits;
};

/// How numbers of a type are loaded for a product: one of them in every lane, or a vector of them.
template <typename P>
struct Factor;
template <>
struct Factor<float> {
  using Vectors = V;
  // Straight from memory, which takes nothing from the units that multiply.
  static COHORT_INLINE V one(const float* from) { return reinterpret_cast<V>(_mm512_set1_ps(*from)); }
  static COHORT_INLINE V many(const float* from) { return load<kWidth>(from); }
  static COHORT_INLINE V ones() { return V{} + 1; }
  static COHORT_INLINE V add(V sum, V left, V right) { return sum + left * right; }
};
#ifdef __AVX512BF16__
template <>
struct Factor<Pair> {
  using Vectors = __m512bh;
  static COHORT_INLINE Vectors one(const Pair* from) {
    int bits;
    memcpy(&bits, from, sizeof(bits));
    return reinterpret_cast<Vectors>(_mm512_set1_epi32(bits));
  }
  static COHORT_INLINE Vectors ones() { return reinterpret_cast<Vectors>(_mm512_set1_epi32(0x3F803F80)); }
  static COHORT_INLINE Vectors many(const Pair* from) { return reinterpret_cast<Vectors>(_mm512_loadu_si512(from)); }
  static COHORT_INLINE V add(V sum, Vectors left, Vectors right) {
    return reinterpret_cast<V>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), left, right));
  }
};
#endif

#define COHORT_UNROLL _Pragma("GCC unroll 24")

/// The columns of a panel: so many vectors, the last of which may share channels with the one before so as to be full.
struct Columns {
  int64_t offsets[kMostVectors];
  int vectors;
};

/// A vector of the left matrix's numbers times the panel's, added to a row of sums.
template <int kVectors, typename P>
COHORT_INLINE void addProducts(V (&sums)[kVectors], const P* left, const typename Factor<P>::Vectors (&right)[kVectors]) {
  const auto factor = Factor<P>::one(left);
  COHORT_UNROLL for (int n = 0; n < kVectors; ++n) sums[n] = Factor<P>::add(sums[n], factor, right[n]);
}

/// What is added to a product: to every row `shift`, and of `map`, which lies like the result, the row times `slope`. Null
/// where there is nothing.
template <typename E>
struct Addends {
  Addends from(int64_t rows, int64_t columns) const { return {shift, map == nullptr ? nullptr : map + rows * columns, slope}; }

  const float* shift;
  const E* map;
  const float* slope;
};

/// Rows of a product: result[r] = sum over k < depth of left[r * leftStride + k] times row k of the panel, which is packed.
template <int kVectors, int kRows, typename P, typename E>
void multiplyTile(int64_t depth, const P* left, int64_t leftStride, const P* panel, const Columns& columns,
                  const Addends<E>& addends, int64_t resultStride, E* result) {
  V sums[kRows][kVectors];
  // Comes while the product is computed.
  if (addends.map != nullptr) {
    COHORT_UNROLL for (int r = 0; r < kRows; ++r) {
      COHORT_UNROLL for (int n = 0; n < kVectors; ++n) __builtin_prefetch(addends.map + r * resultStride + columns.offsets[n]);
    }
  }
  COHORT_UNROLL for (int n = 0; n < kVectors; ++n) {
    const V first = addends.shift == nullptr ? V{} : load<kWidth>(addends.shift + columns.offsets[n]);
    COHORT_UNROLL for (int r = 0; r < kRows; ++r) sums[r][n] = first;
  }
  for (int64_t k = 0; k < depth; ++k, ++left, panel += kVectors * kWidth) {
    typename Factor<P>::Vectors right[kVectors];
    COHORT_UNROLL for (int n = 0; n < kVectors; ++n) right[n] = Factor<P>::many(panel + n * kWidth);
    COHORT_UNROLL for (int r = 0; r < kRows; ++r) addProducts<kVectors, P>(sums[r], left + r * leftStride, right);
  }
  if (addends.map != nullptr) {
    COHORT_UNROLL for (int n = 0; n < kVectors; ++n) {
      const V slope = load<kWidth>(addends.slope + columns.offsets[n]);
      COHORT_UNROLL for (int r = 0; r < kRows; ++r) {
        sums[r][n] += load<kWidth>(addends.map + r * resultStride + columns.offsets[n]) * slope;
      }
    }
  }
  COHORT_UNROLL for (int r = 0; r < kRows; ++r) {
    COHORT_UNROLL for (int n = 0; n < kVectors; ++n) {
      store<kWidth>(result + r * resultStride + columns.offsets[n], sums[r][n]);
    }
  }
}

/// Adds to `sums[r]`, rows of vectors one after the other, what `depth` rows of both matrices give: number r of a left row
/// times the panel's columns of the right row.
template <int kVectors, int kRows, typename P>
void addTile(int64_t depth, const P* left, int64_t leftStride, const P* right, int64_t rightStride, const Columns& columns,
             int64_t sumsStride, float* numbers) {
  V sums[kRows][kVectors];
  COHORT_UNROLL for (int r = 0; r < kRows; ++r) {
    COHORT_UNROLL for (int n = 0; n < kVectors; ++n) sums[r][n] = load<kWidth>(numbers + r * sumsStride + n * kWidth);
  }
  const P* from[kVectors];
  for (int n = 0; n < kVectors; ++n) from[n] = right + columns.offsets[n];
  for (int64_t k = 0; k < depth; ++k, left += leftStride) {
    typename Factor<P>::Vectors given[kVectors];
    COHORT_UNROLL for (int n = 0; n < kVectors; ++n) {
      given[n] = Factor<P>::many(from[n]);
      from[n] += rightStride;
    }
    COHORT_UNROLL for (int r = 0; r < kRows; ++r) addProducts<kVectors, P>(sums[r], left + r, given);
  }
  COHORT_UNROLL for (int r = 0; r < kRows; ++r) {
    COHORT_UNROLL for (int n = 0; n < kVectors; ++n) store<kWidth>(numbers + r * sumsStride + n * kWidth, sums[r][n]);
  }
}

/// Calls `addTile` with as many rows as there are, at most `kRows`.
template <int kVectors, int kRows, typename P>
void addRows(int64_t rows, int64_t depth, const P* left, int64_t leftStride, const P* right, int64_t rightStride,
             const Columns& columns, int64_t sumsStride, float* numbers) {
  if constexpr (kRows > 0) {
    const auto add = rows == kRows ? addTile<kVectors, kRows, P> : nullptr;
    if (add != nullptr) return add(depth, left, leftStride, right, rightStride, columns, sumsStride, numbers);
    addRows<kVectors, kRows - 1, P>(rows, depth, left, leftStride, right, rightStride, columns, sumsStride, numbers);
  }
}

/// Adds to a vector of sums what the columns from `from` on add up to in `depth` rows: four rows at a time, so that no sum
/// waits for the one before.
template <typename P>
COHORT_INLINE void addColumns(int64_t depth, const P* from, int64_t stride, float* numbers) {
  const auto one = Factor<P>::ones();
  V sums[4] = {load<kWidth>(numbers)};
  int64_t k = 0;
  for (; k + 4 <= depth; k += 4, from += 4 * stride) {
    for (int r = 0; r < 4; ++r) sums[r] = Factor<P>::add(sums[r], one, Factor<P>::many(from + r * stride));
  }
  for (; k < depth; ++k, from += stride) sums[0] = Factor<P>::add(sums[0], one, Factor<P>::many(from));
  store<kWidth>(numbers, (sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/// Calls `each(std constant of the vectors)`.
template <int kVectors>
struct VectorCount {
  static constexpr int value = kVectors;
};
template <typename Each>
COHORT_INLINE void withVectors(int vectors, const Each& each) {
  static_assert(kMostVectors == 4);
  switch (vectors) {
    case 1:
      return each(VectorCount<1>());
    case 2:
      return each(VectorCount<2>());
    case 3:
      return each(VectorCount<3>());
    default:
      return each(VectorCount<4>());
  }
}

/// Channels cut into panels of nearly equal width.
struct Panels {
  explicit Panels(int64_t all)
      : channels(all), vectors((all + kWidth - 1) / kWidth), count((vectors + kMostVectors - 1) / kMostVectors) {}
  /// In vectors.
  int64_t first(int64_t panel) const { return panel * vectors / count; }
  int64_t offset(int64_t vector) const { return least(vector * kWidth, channels - kWidth); }
  Columns columns(int64_t panel) const {
    Columns result{{}, static_cast<int>(first(panel + 1) - first(panel))};
    for (int n = 0; n < result.vectors; ++n) result.offsets[n] = offset(first(panel) + n);
    return result;
  }
  int64_t padded() const { return vectors * kWidth; }

  int64_t channels;
  int64_t vectors;
  int64_t count;
};

/// Asks for memory that is read or written soon.
template <bool kIsWritten>
COHORT_INLINE void fetch(const void* memory, int64_t bytes) {
  const char* const from = static_cast<const char*>(memory);
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, kIsWritten ? 1 : 0, 2);
}

}  // namespace
}  // namespace cohort
