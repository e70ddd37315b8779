// How many tiles Winograd's convolution works on at a time, and how their numbers lie.
#pragma once

#include <type_traits>

#include "kernels/convolution/winograd/winogradForms.h"
#include "kernels/convolution/winograd/winogradKernels.h"

namespace cohort {
namespace {

/// Weights beyond this leave the second-level cache: they are read once for as many tiles as fit into it instead, or for more.
constexpr int64_t kNarrowWeights = 128 * 128;
constexpr int64_t kCachedNumbers = 192 * 1024, kFewestWideTiles = 192, kMostWideTiles = 384;
/// Keeps positions off each other's cache sets.
constexpr int64_t kPadding = 32;

/// How many channels there are: kNumber, which the compiler then counts with, or where that is 0 the given number.
template <int kNumber>
COHORT_INLINE int64_t channelsOf(int64_t given) {
  return kNumber > 0 ? kNumber : given;
}

inline bool isWide(const WinogradShape& shape) { return shape.inChannels * shape.outChannels > kNarrowWeights; }

/// Tiles of a block of this shape.
template <typename Form>
COHORT_INLINE int64_t blockTilesOf(const WinogradShape& shape) {
  if (!isWide(shape)) return Form::kBlockTiles;
  const int64_t tiles = kCachedNumbers / (shape.inChannels + shape.outChannels) / Form::kBlockTiles * Form::kBlockTiles;
  return most(kFewestWideTiles, least(tiles, kMostWideTiles));
}

/// From one position of a block of `tiles` to the next; of the usual number where the compiler knows the channels.
template <typename Form, int kNumber>
COHORT_INLINE int64_t strideOf(int64_t channels, int64_t tiles) {
  return (kNumber > 0 ? Form::kBlockTiles : tiles) * channels + kPadding;
}

/// From one position of weights, or of their gradient's sums, to the next.
inline int64_t weightStrideOf(const WinogradShape& shape) { return shape.inChannels * shape.outChannels + kPadding; }

/// Calls `each` with the number of channels for the compiler to know, where it is a usual one, or with 0. Small tiles are for
/// maps that are not usual, and not worth the time that it takes to compile them for each number.
template <typename Form, typename Each>
void withChannels(const WinogradShape& shape, int64_t channels, const Each& each) {
  if constexpr (std::is_same_v<Form, LargeTiles>) {
    if (!isWide(shape)) {
      if (channels == 16) return each(std::integral_constant<int, 16>());
      if (channels == 32) return each(std::integral_constant<int, 32>());
      if (channels == 64) return each(std::integral_constant<int, 64>());
    }
  }
  each(std::integral_constant<int, 0>());
}

}  // namespace
}  // namespace cohort
