// Mean and squared differences of every channel in one pass over the maps, accurate however far from zero they lie.
#pragma once

#include "kernels/batchNorm/batchNormLoops.h"

namespace cohort {
namespace {

/// Adds `count` more values with their mean and squares to those of a channel (Chan et al., "Updating formulae and a
/// pairwise algorithm for computing sample variances", 1979).
struct Merge {
  Merge(int64_t before, int64_t count)
      : share(static_cast<double>(count) / static_cast<double>(before + count)), weight(static_cast<double>(before) * share) {}
  COHORT_INLINE void add(double& mean, double& squares, double newMean, double newSquares) const {
    const double difference = newMean - mean;
    mean += difference * share;
    squares += newSquares + difference * difference * weight;
  }
  double share, weight;
};

/// Mean and squares of W * K channels over some rows. Values are taken relative to the mean of the first few rows: these are
/// part of the data, so that what is subtracted at the end is at most rows / kSampleRows times what remains.
constexpr int64_t kSampleRows = 16;
template <typename E, typename Shape>
COHORT_INLINE void blockStatistics(const E* input, int64_t rows, int64_t channels, Wide<E>* mean, Wide<E>* squares) {
  constexpr int W = Shape::W, K = Shape::K, R = Shape::kRows;
  using V = Vector<Wide<E>, W>;
  const int64_t sample = least(rows, kSampleRows);
  V shift[K] = {};
  for (int64_t row = 0; row < sample; ++row) {
    for (int k = 0; k < K; ++k) shift[k] += load<W>(input + row * channels + k * W);
  }
  for (int k = 0; k < K; ++k) shift[k] /= broadcast<V>(static_cast<Wide<E>>(sample));
  V sum[R][K] = {};
  V square[R][K] = {};
  int64_t row = 0;
  for (; row + R <= rows; row += R) {
    for (int r = 0; r < R; ++r) {
      for (int k = 0; k < K; ++k) {
        const V difference = load<W>(input + (row + r) * channels + k * W) - shift[k];
        sum[r][k] += difference;
        square[r][k] += difference * difference;
      }
    }
  }
  for (; row < rows; ++row) {
    for (int k = 0; k < K; ++k) {
      const V difference = load<W>(input + row * channels + k * W) - shift[k];
      sum[0][k] += difference;
      square[0][k] += difference * difference;
    }
  }
  const V count = broadcast<V>(static_cast<Wide<E>>(rows));
  for (int k = 0; k < K; ++k) {
    for (int r = 1; r < R; ++r) {
      sum[0][k] += sum[r][k];
      square[0][k] += square[r][k];
    }
    const V difference = sum[0][k] / count;
    const V rest = square[0][k] - sum[0][k] * difference;
    store<W>(mean + k * W, shift[k] + difference);
    store<W>(squares + k * W, whereNotNegative(rest, rest));
  }
}

/// Adds some rows to mean and squares of every channel.
template <typename E>
COHORT_INLINE void mergeRows(const E* input, int64_t rows, int64_t channels, const Merge& merge, double* mean, double* squares) {
  forBlocks<E>(channels, [&](auto block, int64_t first, int64_t skip) {
    constexpr int width = decltype(block)::W * decltype(block)::K;
    Wide<E> newMean[width];
    Wide<E> newSquares[width];
    blockStatistics<E, decltype(block)>(input + first, rows, channels, newMean, newSquares);
    for (int64_t i = skip; i < width; ++i) merge.add(mean[first + i], squares[first + i], newMean[i], newSquares[i]);
  });
}

/// Adds segments up, [segments][mean, squares][channels], which end where the next one begins, in rows.
template <typename Begin>
void mergeSegments(int64_t segments, int64_t channels, const double* scratch, const Begin& begin, double* mean, double* squares) {
  for (int64_t c = 0; c < channels; ++c) mean[c] = squares[c] = 0;
  int64_t before = 0;
  for (int64_t segment = 0; segment < segments; ++segment) {
    const int64_t end = begin(segment + 1);
    const Merge merge(before, end - before);
    const double* const part = scratch + 2 * segment * channels;
    for (int64_t c = 0; c < channels; ++c) merge.add(mean[c], squares[c], part[c], part[channels + c]);
    before = end;
  }
}

template <typename E>
void rowStatistics(const BatchNormMaps& maps, const E* input, double* scratch) {
  const RowChunks chunks(maps);
  const int64_t channels = maps.channels;
  const int threads = threadsFor(maps);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t segment = 0; segment < chunks.segments; ++segment) {
    double* const mean = scratch + 2 * segment * channels;
    double* const squares = mean + channels;
    for (int64_t c = 0; c < 2 * channels; ++c) mean[c] = 0;
    int64_t before = 0;
    for (int64_t chunk = chunks.firstOf(segment); chunk < chunks.firstOf(segment + 1); ++chunk) {
      const int64_t rows = chunks.size(chunk);
      const Merge merge(before, rows);
      mergeRows(input + chunks.begin(chunk) * channels, rows, channels, merge, mean, squares);
      before += rows;
    }
  }
}

/// As blockStatistics, of `count` neighbouring elements of one plane.
template <typename E>
COHORT_INLINE void pieceStatistics(const E* input, int64_t count, double& mean, double& squares) {
  constexpr int W = Element<E>::kWidest;
  using V = Vector<Wide<E>, W>;
  const int64_t sample = least(count, 2 * kSampleRows);
  Wide<E> shift = 0;
  for (int64_t i = 0; i < sample; ++i) shift += load<1>(input + i)[0];
  shift /= static_cast<Wide<E>>(sample);
  const V shifts = broadcast<V>(shift);
  V sum[4] = {};
  V square[4] = {};
  int64_t i = 0;
  for (; i + 4 * W <= count; i += 4 * W) {
    for (int k = 0; k < 4; ++k) {
      const V difference = load<W>(input + i + k * W) - shifts;
      sum[k] += difference;
      square[k] += difference * difference;
    }
  }
  double allSum = total<W>((sum[0] + sum[1]) + (sum[2] + sum[3]));
  double allSquares = total<W>((square[0] + square[1]) + (square[2] + square[3]));
  for (; i < count; ++i) {
    const double difference = load<1>(input + i)[0] - shift;
    allSum += difference;
    allSquares += difference * difference;
  }
  const double difference = allSum / static_cast<double>(count);
  const double rest = allSquares - allSum * difference;
  mean = shift + difference;
  squares = rest < 0 ? 0 : rest;
}

template <typename E>
void planeStatistics(const BatchNormMaps& maps, const E* input, double* scratch) {
  const PlaneSegments segments(maps);
  const int64_t channels = maps.channels;
  const int threads = threadsFor(maps);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t task = 0; task < segments.count * channels; ++task) {
    const int64_t segment = task / channels;
    const int64_t channel = task % channels;
    double mean = 0;
    double squares = 0;
    int64_t before = 0;
    for (int64_t n = segments.firstOf(segment); n < segments.firstOf(segment + 1); ++n) {
      const E* const plane = input + (n * channels + channel) * maps.inner;
      for (int64_t begin = 0; begin < maps.inner; begin += kPieceOfPlane) {
        const int64_t count = least(kPieceOfPlane, maps.inner - begin);
        double newMean = 0;
        double newSquares = 0;
        pieceStatistics(plane + begin, count, newMean, newSquares);
        Merge(before, count).add(mean, squares, newMean, newSquares);
        before += count;
      }
    }
    scratch[2 * segment * channels + channel] = mean;
    scratch[(2 * segment + 1) * channels + channel] = squares;
  }
}

template <typename E>
void statisticsOf(const BatchNormMaps& maps, const void* input, double* scratch, double* mean, double* squares) {
  const RowChunks chunks(maps);
  const PlaneSegments planes(maps);
  const int64_t segments = maps.inRows ? chunks.segments : planes.count;
  if (maps.inRows) {
    rowStatistics(maps, static_cast<const E*>(input), scratch);
  } else {
    planeStatistics(maps, static_cast<const E*>(input), scratch);
  }
  const auto begin = [&](int64_t segment) {
    return maps.inRows ? least(chunks.rows, chunks.begin(chunks.firstOf(segment))) : planes.firstOf(segment) * maps.inner;
  };
  mergeSegments(segments, maps.channels, scratch, begin, mean, squares);
}

}  // namespace
}  // namespace cohort
