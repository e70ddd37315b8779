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
