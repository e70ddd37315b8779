// The vectors of loops that compute in float32 with instructions of one width: as many numbers as the widest hold.
#pragma once

#include "kernels/vectors.h"

namespace cohort {
namespace {

#ifdef __AVX512F__
constexpr int kWidth = 16;
#else
constexpr int kWidth = 8;
#endif
using V = Vector<float, kWidth>;

/// left + right and left - right by the units that multiply, which are idle while others add. Products with one are exact, so
/// results are those of the operators.
COHORT_INLINE V plusByProduct(V left, V right) {
#ifdef __AVX512F__
  const auto sum = _mm512_fmadd_ps(reinterpret_cast<__m512>(right), _mm512_set1_ps(1), reinterpret_cast<__m512>(left));
  return reinterpret_cast<V>(sum);
#else
  return left + right;
#endif
}
COHORT_INLINE V minusByProduct(V left, V right) {
#ifdef __AVX512F__
  const auto difference = _mm512_fnmadd_ps(reinterpret_cast<__m512>(right), _mm512_set1_ps(1), reinterpret_cast<__m512>(left));
  return reinterpret_cast<V>(difference);
#else
  return left - right;
#endif
}

/// sum + factor value, rounded once: also where the compiler would leave two operations.
COHORT_INLINE V fused(V sum, float factor, V value) {
#if defined(__AVX512F__)
  return reinterpret_cast<V>(
      _mm512_fmadd_ps(_mm512_set1_ps(factor), reinterpret_cast<__m512>(value), reinterpret_cast<__m512>(sum)));
#elif defined(__FMA__)
  return reinterpret_cast<V>(
      _mm256_fmadd_ps(_mm256_set1_ps(factor), reinterpret_cast<__m256>(value), reinterpret_cast<__m256>(sum)));
#else
  for (int i = 0; i < kWidth; ++i) sum[i] = __builtin_fmaf(factor, value[i], sum[i]);
  return sum;
#endif
}

/// A product that is rounded before it is added to anything, also where the compiler may fuse the two.
COHORT_INLINE V apart(V product) {
#ifdef __x86_64__
  asm("" : "+v"(product));
#endif
  return product;
}

/// As two calls of `store`.
template <typename E>
COHORT_INLINE void storeBoth(E* to, V value, E* otherTo, V otherValue) {
#ifdef __AVX512BF16__
  // Two vectors are rounded in the time of one.
  if constexpr (Element<E>::kIsNarrow) {
    const auto both = reinterpret_cast<__m512i>(
        _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(otherValue), reinterpret_cast<__m512>(value)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(both));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(otherTo), _mm512_extracti64x4_epi64(both, 1));
    return;
  }
#endif
  store<kWidth>(to, value);
  store<kWidth>(otherTo, otherValue);
}

/// Rows of a square become its columns: blocks off the diagonal change places, from the largest to single numbers.
COHORT_INLINE void transpose(V (&rows)[kWidth]) {
#ifdef __clang__
  float square[kWidth][kWidth];
  for (int r = 0; r < kWidth; ++r) {
    for (int c = 0; c < kWidth; ++c) square[c][r] = rows[r][c];
  }
  for (int r = 0; r < kWidth; ++r) rows[r] = load<kWidth>(square[r]);
#else
#pragma GCC unroll 4
  for (int block = kWidth / 2; block > 0; block /= 2) {
    Vector<int32_t, kWidth> upper, lower;
    for (int c = 0; c < kWidth; ++c) {
      upper[c] = (c & block) != 0 ? kWidth + c - block : c;
      lower[c] = (c & block) != 0 ? kWidth + c : c + block;
    }
#pragma GCC unroll 16
    for (int r = 0; r < kWidth; ++r) {
      if ((r & block) != 0) continue;
      const V first = rows[r], second = rows[r + block];
      rows[r] = __builtin_shuffle(first, second, upper);
      rows[r + block] = __builtin_shuffle(first, second, lower);
    }
  }
#endif
}

}  // namespace
}  // namespace cohort
