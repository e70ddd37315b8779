// How the loops of fused batch normalisation walk over feature maps: in rows, a block of channels at a time with its sums
// in registers; in planes, a channel at a time. Work is cut by the shape alone, never by the number of threads, so that sums
// are bit-identical however many there are.
#pragma once

#include "kernels/batchNorm/batchNormKernels.h"
#include "kernels/vectors.h"

namespace cohort {
namespace {

/// Elements below which a second thread costs more than it saves.
constexpr int64_t kSmallMaps = 32768;
inline int threadsFor(const BatchNormMaps& maps) {
  return maps.batch * maps.channels * maps.inner < kSmallMaps ? 1 : maps.threads;
}

/// W channels in one vector, K vectors side by side.
template <int W_, int K_>
struct Block {
  static constexpr int W = W_;
  static constexpr int K = K_;
  /// Rows at a time, so that four independent sums run in parallel and none waits for the last addition.
  static constexpr int kRows = 4 / K;
};
template <int W_>
struct Lanes {
  static constexpr int W = W_;
};

/// Calls `body(block, first, skip)` for every block of channels. The last block is moved to the left until it is full:
/// its first `skip` channels belong to the block before as well.
template <typename Shape, typename Body>
COHORT_INLINE void coverBlocks(int64_t channels, Body&& body) {
  constexpr int64_t width = Shape::W * Shape::K;
  for (int64_t block = 0; block < channels; block += width) {
    const int64_t first = least(block, channels - width);
    body(Shape{}, first, block - first);
  }
}
/// Fewer channels than half a vector are so rare that they are not worth loops of their own.
template <typename E, typename Body>
COHORT_INLINE void forBlocks(int64_t channels, Body&& body) {
  constexpr int W = Element<E>::kWidest;
  if (channels >= 2 * W) return coverBlocks<Block<W, 2>>(channels, body);
  if (channels >= W) return coverBlocks<Block<W, 1>>(channels, body);
  if (channels >= W / 2) return coverBlocks<Block<W / 2, 1>>(channels, body);
  coverBlocks<Block<1, 1>>(channels, body);
}

/// Rows that are summed at a time: few enough for three maps to stay in the first-level cache from one block to the next, and
/// for sums in float32 to stay accurate before they are added in float64.
inline int64_t chunkRows(int64_t channels) { return most(32, least(512, 2048 / channels)); }
/// Rows that are computed at a time where nothing is summed: memory is read nearly in its order.
constexpr int64_t kRowsTogether = 8;
/// One block may hold all channels: its rows need no such care.
template <typename E>
int64_t rowsTogether(int64_t channels) {
  return 2 * Element<E>::kWidest % channels == 0 ? chunkRows(channels) : kRowsTogether;
}

/// Rows of all maps, cut into chunks, and these into segments of neighbours that are summed by one thread each.
struct RowChunks {
  explicit RowChunks(const BatchNormMaps& maps)
      : rows(maps.batch * maps.inner),
        perChunk(chunkRows(maps.channels)),
        count((rows + perChunk - 1) / perChunk),
        segments(least(count, BatchNormKernels::kMostSegments)) {}
  int64_t begin(int64_t chunk) const { return chunk * perChunk; }
  int64_t size(int64_t chunk) const { return least(perChunk, rows - begin(chunk)); }
  int64_t firstOf(int64_t segment) const { return segment * count / segments; }

  int64_t rows, perChunk, count, segments;
};

/// Planes of one channel, cut into segments of neighbouring images where there are few channels.
struct PlaneSegments {
  explicit PlaneSegments(const BatchNormMaps& maps)
      : batch(maps.batch), count(least(maps.batch, most(1, BatchNormKernels::kMostSegments / maps.channels))) {}
  int64_t firstOf(int64_t segment) const { return segment * batch / count; }

  int64_t batch, count;
};

/// Elements of a plane that are summed in the type of the elements before they are added in float64.
constexpr int64_t kPieceOfPlane = 1024;

/// Calls `body(lanes, offset, parameters)` for all elements, W at a time; `parameters[p]` has the p-th parameter of their
/// channels.
template <typename E, int P, typename Body>
void forElements(const BatchNormMaps& maps, const Wide<E>* const (&parameters)[P], Body body) {
  const int64_t channels = maps.channels;
  const int threads = threadsFor(maps);
  if (maps.inRows) {
    const RowChunks chunks(maps);
    const int64_t together = rowsTogether<E>(channels);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t chunk = 0; chunk < chunks.count; ++chunk) {
      const int64_t end = chunks.begin(chunk) + chunks.size(chunk);
      for (int64_t begin = chunks.begin(chunk); begin < end; begin += together) {
        const int64_t rows = least(together, end - begin), start = begin * channels;
        forBlocks<E>(channels, [&](auto block, int64_t first, int64_t) {
          constexpr int W = decltype(block)::W;
          constexpr int K = decltype(block)::K;
          Vector<Wide<E>, W> given[K][P];
          for (int k = 0; k < K; ++k) {
            for (int p = 0; p < P; ++p) given[k][p] = load<W>(parameters[p] + first + k * W);
          }
          for (int64_t row = 0; row < rows; ++row) {
            for (int k = 0; k < K; ++k) body(Lanes<W>{}, start + row * channels + first + k * W, given[k]);
          }
        });
      }
    }
    return;
  }
  constexpr int W = Element<E>::kWidest;
  const int64_t planes = maps.batch * channels;
  const int64_t inner = maps.inner;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t plane = 0; plane < planes; ++plane) {
    const int64_t start = plane * inner;
    Vector<Wide<E>, W> given[P];
    Vector<Wide<E>, 1> single[P];
    for (int p = 0; p < P; ++p) {
      given[p] = broadcast<Vector<Wide<E>, W>>(parameters[p][plane % channels]);
      single[p] = broadcast<Vector<Wide<E>, 1>>(parameters[p][plane % channels]);
    }
    int64_t i = 0;
    for (; i + W <= inner; i += W) body(Lanes<W>{}, start + i, given);
    for (; i < inner; ++i) body(Lanes<1>{}, start + i, single);
  }
}

}  // namespace
}  // namespace cohort
