// Which form of Winograd's convolution a shape gets, and how its work is cut: by the shape alone.
#pragma once

#include "kernels/convolution/winograd/winogradBlocks.h"
#include "kernels/convolution/winograd/winogradTransforms.h"

namespace cohort {
namespace {

/// Of one image: 6x6 pixels.
constexpr int64_t kFewestTiles = 9;
/// Of one picture, for weights beyond kMediumWeights, and for large tiles with weights that leave the second-level cache.
constexpr int64_t kManyTiles = 64;
constexpr int64_t kMediumWeights = 256 * 256, kMostWeights = 2048 * 512;
/// Channels come in vectors of this, whatever the processor.
constexpr int64_t kChannels = 16;

/// Parts of a weight gradient that are summed apart, at most: each takes memory, and time to clear and add.
int64_t mostChunks(const WinogradShape& shape) {
  if (shape.inChannels * shape.outChannels > kMediumWeights) return 2;
  return isWide(shape) ? 4 : 8;
}

/// Tiles that cover so many pixels.
template <typename Form>
COHORT_INLINE int64_t tilesAlong(int64_t pixels) {
  return (pixels + Form::kTile - 1) / Form::kTile;
}

/// Tiles of a picture.
template <typename Form>
inline int64_t tilesOf(const WinogradShape& shape) {
  return tilesAlong<Form>(shape.height) * tilesAlong<Form>(shape.width) * shape.phases;
}

/// Large tiles are for maps that do not waste them, and for weights that are small, since they take more than twice the memory when
/// transformed; in float32 also for weights that are read for many tiles.
inline bool usesLargeTiles(const WinogradShape& shape) {
  const int64_t large = tilesOf<LargeTiles>(shape), small = tilesOf<SmallTiles>(shape);
  return (!isWide(shape) || (!shape.isNarrow && large >= kManyTiles)) &&
         5 * LargeTiles::kPositions * large <= 4 * SmallTiles::kPositions * small;
}

/// Calls `each` with the form that suits a shape.
template <typename Each>
auto withForm(const WinogradShape& shape, const Each& each) {
  return usesLargeTiles(shape) ? each(LargeTiles()) : each(SmallTiles());
}

/// How the work is cut, by the shape alone.
template <typename Form>
struct Plan {
  explicit Plan(const WinogradShape& shape)
      : tileRows(tilesAlong<Form>(shape.height)),
        tileColumns(tilesAlong<Form>(shape.width)),
        tiles(shape.batch * tileRows * tileColumns),
        blockTiles(blockTilesOf<Form>(shape)),
        blocks((tiles + blockTiles - 1) / blockTiles),
        chunks(least(blocks, mostChunks(shape))),
        inStride(strideOf<Form, 0>(shape.inChannels, blockTiles)),
        outStride(strideOf<Form, 0>(shape.outChannels, blockTiles)),
        products(Form::kPositions * weightStrideOf(shape)),
        threads(most(1, least(shape.threads, blocks))),
        zeros(Form::kSide * most(shape.inChannels, shape.outChannels)) {}

  /// Numbers that a thread works in.
  int64_t threadNumbers() const { return Form::kPositions * (inStride + outStride); }

  /// Calls `each(first tile, tiles, place)` for every run of a block's adjacent tiles in a row.
  template <typename Each>
  void forRuns(int64_t first, int64_t count, const Each& each) const {
    for (int64_t done = 0; done < count;) {
      const int64_t index = first + done, row = index / tileColumns, column = index % tileColumns;
      const int64_t length = least(count - done, tileColumns - column);
      each(Tile{row / tileRows, row % tileRows, column}, length, done);
      done += length;
    }
  }

  int64_t tileRows;
  int64_t tileColumns;
  int64_t tiles;
  /// Tiles of a block.
  int64_t blockTiles;
  int64_t blocks;
  /// Parts of a weight gradient that are summed apart.
  int64_t chunks;
  /// From one position to the next, of transformed input and of products.
  int64_t inStride;
  int64_t outStride;
  int64_t products;
  int64_t threads;
  int64_t zeros;
};

}  // namespace
}  // namespace cohort
