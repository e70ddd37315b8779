// Winograd's two forms, F(2x2, 3x3) and F(4x4, 3x3), as what each does to one dimension of a tile: the input d becomes B^T d,
// the kernel g becomes G g, and products m become A^T m; weight gradients take the transposes A and G^T instead.
#pragma once

#include "kernels/floatVectors.h"

/// Whether there are instructions that multiply pairs of 16 bits: of bfloat16 and of integers.
#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
#define COHORT_PAIRS
#endif

namespace cohort {
namespace {

/// 2x2 results from 4x4 pixels, by 16 products where the definition takes 36. All constants are 1 and 1/2, so that rounding
/// errors are those of the definition, also of numbers that are rounded to bfloat16.
struct SmallTiles {
  static constexpr int kTile = 2, kSide = kTile + 2, kPositions = kSide * kSide;
  /// Tiles that are worked on together: a multiple of kRows on every processor, so that all sum in the same order.
  static constexpr int64_t kBlockTiles = 48;

  COHORT_INLINE static void spreadInput(const V (&d)[kSide], V (&to)[kSide]) {
    to[0] = minusByProduct(d[0], d[2]);
    to[1] = d[1] + d[2];
    to[2] = minusByProduct(d[2], d[1]);
    to[3] = minusByProduct(d[1], d[3]);
  }
  COHORT_INLINE static void spreadKernel(V g0, V g1, V g2, V (&to)[kSide]) {
    to[0] = g0;
    to[1] = 0.5f * (g0 + g2 + g1);
    to[2] = 0.5f * (g0 + g2 - g1);
    to[3] = g2;
  }
  COHORT_INLINE static void gatherOutput(const V (&m)[kSide], V (&to)[kTile]) {
    to[0] = plusByProduct(m[0] + m[1], m[2]);
    to[1] = minusByProduct(m[1] - m[2], m[3]);
  }
  COHORT_INLINE static void spreadGradient(const V (&g)[kTile], V (&to)[kSide]) {
    to[0] = g[0];
    to[1] = g[0] + g[1];
    to[2] = g[0] - g[1];
    to[3] = -g[1];
  }
  COHORT_INLINE static void gatherKernel(const V (&s)[kSide], V (&to)[3]) {
    to[0] = s[0] + 0.5f * (s[1] + s[2]);
    to[1] = 0.5f * (s[1] - s[2]);
    to[2] = s[3] + 0.5f * (s[1] + s[2]);
  }
};

/// 4x4 results from 6x6 pixels, by 36 products where the definition takes 144: polynomials are multiplied at the points 0, the
/// roots of 1/2 and of 2, and infinity, whose squares are exact and multiply to 1, so that few constants are left.
struct LargeTiles {
  static constexpr int kTile = 4, kSide = kTile + 2, kPositions = kSide * kSide;
  static constexpr int64_t kBlockTiles = 24;
  static constexpr float kInner = 0.70710678f, kOuter = 1.41421356f;
  /// The inverse of the product of a point's differences to all others.
  static constexpr float kOfInner = -2.0f / 3, kOfOuter = 1.0f / 6;
  /// How much the rows of spreadInput and of spreadGradient magnify a number at most: the sums of their constants.
  static constexpr float kInputRows[kSide] = {4.5f,
                                              3 + 3 * kInner,
                                              3 + 3 * kInner,
                                              1.5f + 1.5f * kOuter,
                                              1.5f + 1.5f * kOuter,
                                              4.5f};
  static constexpr float kGradientRows[kSide] = {1,
                                                 1.5f + 1.5f * kInner,
                                                 1.5f + 1.5f * kInner,
                                                 3 + 3 * kOuter,
                                                 3 + 3 * kOuter,
                                                 1};

  // What is fused is said, since the compiler's choice would depend on what is around it.
  COHORT_INLINE static void spreadInput(const V (&d)[kSide], V (&to)[kSide]) {
    const V innerEven = fused(d[4], -2, d[2]), innerOdd = fused(d[3], -2, d[1]);
    const V outerEven = fused(d[4], -0.5f, d[2]), outerOdd = fused(d[3], -0.5f, d[1]);
    to[0] = fused(d[0] + d[4], -2.5f, d[2]);
    to[1] = fused(innerEven, kInner, innerOdd);
    to[2] = fused(innerEven, -kInner, innerOdd);
    to[3] = fused(outerEven, kOuter, outerOdd);
    to[4] = fused(outerEven, -kOuter, outerOdd);
    to[5] = fused(d[1] + d[5], -2.5f, d[3]);
  }
  COHORT_INLINE static void spreadKernel(V g0, V g1, V g2, V (&to)[kSide]) {
    const V innerEven = fused(g0, 0.5f, g2), outerEven = fused(g0, 2, g2);
    to[0] = g0;
    to[1] = kOfInner * fused(innerEven, kInner, g1);
    to[2] = kOfInner * fused(innerEven, -kInner, g1);
    to[3] = kOfOuter * fused(outerEven, kOuter, g1);
    to[4] = kOfOuter * fused(outerEven, -kOuter, g1);
    to[5] = g2;
  }
  COHORT_INLINE static void gatherOutput(const V (&m)[kSide], V (&to)[kTile]) {
    const V innerSum = m[1] + m[2], inner = m[1] - m[2];
    const V outerSum = m[3] + m[4], outer = m[3] - m[4];
    to[0] = m[0] + innerSum + outerSum;
    to[1] = fused(kInner * inner, kOuter, outer);
    to[2] = fused(0.5f * innerSum, 2, outerSum);
    to[3] = fused(fused(m[5], kInner / 2, inner), kOuter * 2, outer);
  }
  COHORT_INLINE static void spreadGradient(const V (&g)[kTile], V (&to)[kSide]) {
    const V innerEven = fused(g[0], 0.5f, g[2]), innerOdd = fused(g[1], 0.5f, g[3]);
    const V outerEven = fused(g[0], 2, g[2]), outerOdd = fused(g[1], 2, g[3]);
    to[0] = g[0];
    to[1] = fused(innerEven, kInner, innerOdd);
    to[2] = fused(innerEven, -kInner, innerOdd);
    to[3] = fused(outerEven, kOuter, outerOdd);
    to[4] = fused(outerEven, -kOuter, outerOdd);
    to[5] = g[3];
  }
  COHORT_INLINE static void gatherKernel(const V (&s)[kSide], V (&to)[3]) {
    const V innerSum = s[1] + s[2], inner = s[1] - s[2];
    const V outerSum = s[3] + s[4], outer = s[3] - s[4];
    to[0] = fused(fused(s[0], kOfInner, innerSum), kOfOuter, outerSum);
    to[1] = fused((kOfInner * kInner) * inner, kOfOuter * kOuter, outer);
    to[2] = fused(fused(s[5], kOfInner / 2, innerSum), kOfOuter * 2, outerSum);
  }
};

}  // namespace
}  // namespace cohort
