// Depthwise 3x3 convolutions: a vector of channels at a time, along a row of pixels, with the nine weights and the window of
// nine pixels in registers, so that every pixel of three rows is loaded once. The Makefile compiles this file for AVX2,
// AVX-512, AVX-512 BF16 and NEON, with fused multiply-add; channels do not meet, so the width of vectors does not show.
#include "kernels/convolution/depthwise/depthwiseKernels.h"

#include "kernels/floatVectors.h"

namespace cohort {
namespace {

/// On every processor, so that the same convolutions are computed here.
constexpr int64_t kFewestChannels = 16;
/// Parts of a batch whose weight gradients are summed apart.
constexpr int64_t kChunks = 16;
/// Numbers in the output below which a second thread costs more than it saves.
constexpr int64_t kSmallMaps = 32768;

int threadsFor(const DepthwiseShape& shape) {
  return shape.batch * shape.channels * shape.outHeight * shape.outWidth < kSmallMaps ? 1 : shape.threads;
}

bool supports(const DepthwiseShape& shape) {
  return shape.channels >= kFewestChannels && (shape.stride == 1 || shape.stride == 2) && shape.batch > 0 && shape.height > 0 &&
         shape.width > 0;
}

/// Vectors of channels; the last one is moved to the left until it is full, and what it shares with the one before is
/// computed twice.
int64_t vectorsOf(int64_t channels) { return (channels + kWidth - 1) / kWidth; }
inline int64_t firstOf(int64_t vector, int64_t channels) { return least(vector * kWidth, channels - kWidth); }

/// Stand for the pixels of rows around a map.
alignas(64) const float kZeros[kWidth] = {};

/// A row of pixels of one vector of channels; zeros where it is outside of the map.
template <typename E>
struct Row {
  COHORT_INLINE V at(int64_t x) const { return x < width ? load<kWidth>(pixels + x * step) : V{}; }

  const E* pixels;
  /// From a pixel to the next; none among zeros.
  int64_t step;
  int64_t width;
};

template <typename E>
COHORT_INLINE Row<E> rowOf(const E* maps, int64_t image, int64_t y, int64_t height, int64_t width, int64_t channels,
                           int64_t first) {
  if (y < 0 || y >= height) return {reinterpret_cast<const E*>(kZeros), 0, width};
  return {maps + (image * height + y) * width * channels + first, channels, width};
}

struct Window {
  /// By row and column.
  V pixels[3][3];
};

/// Calls `visit(x, window)` for every output pixel of a row; columns that two windows share are loaded once.
template <int kStride, typename E, typename Visit>
COHORT_INLINE void slide(const Row<E> (&rows)[3], int64_t outWidth, const Visit& visit) {
  Window window;
  for (int y = 0; y < 3; ++y) {
    window.pixels[y][0] = V{};
    if (kStride == 1) window.pixels[y][1] = rows[y].at(0);
  }
  for (int64_t x = 0; x < outWidth; ++x) {
    for (int y = 0; y < 3; ++y) {
      if (kStride == 1) {
        window.pixels[y][2] = rows[y].at(x + 1);
      } else {
        window.pixels[y][1] = rows[y].at(2 * x);
        window.pixels[y][2] = rows[y].at(2 * x + 1);
      }
    }
    visit(x, window);
    for (int y = 0; y < 3; ++y) {
      if (kStride == 1) {
        window.pixels[y][0] = window.pixels[y][1];
        window.pixels[y][1] = window.pixels[y][2];
      } else {
        window.pixels[y][0] = window.pixels[y][2];
      }
    }
  }
}

/// Neighbouring rows of one image, few enough that they stay in the caches while one vector of channels after the other passes
/// over them.
struct Strip {
  int64_t image;
  int64_t begin;
  int64_t end;
};

constexpr int64_t kStripBytes = 16384;

/// How many rows a strip has, of maps with so many rows and such a width.
int64_t rowsOf(const DepthwiseShape& shape, int64_t rows, int64_t width) {
  const int64_t bytes = width * shape.channels * (shape.isNarrow ? 2 : 4);
  return least(rows, bytes < kStripBytes ? kStripBytes / bytes : 1);
}

/// One vector of channels of one strip.
template <int kStride, bool kRectifies, typename E>
void convolveMap(const DepthwiseShape& shape, const Strip& strip, int64_t first, const E* input, const float* weight,
                 const float* bias, bool isTurned, E* output) {
  const int64_t channels = shape.channels, outWidth = shape.outWidth;
  V taps[3][3];
  for (int i = 0; i < 9; ++i) taps[i / 3][i % 3] = load<kWidth>(weight + (isTurned ? 8 - i : i) * channels + first);
  const V added = bias == nullptr ? V{} : load<kWidth>(bias + first);
  for (int64_t y = strip.begin; y < strip.end; ++y) {
    const auto row = [&](int64_t offset) {
      return rowOf(input, strip.image, kStride * y + offset, shape.height, shape.width, channels, first);
    };
    const Row<E> rows[3] = {row(-1), row(0), row(1)};
    E* to = output + (strip.image * shape.outHeight + y) * outWidth * channels + first;
    slide<kStride>(rows, outWidth, [&](int64_t, const Window& window) __attribute__((always_inline)) {
      V sum = added;
      for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) sum += taps[i][j] * window.pixels[i][j];
      }
      store<kWidth>(to, kRectifies ? whereNotNegative(sum, sum) : sum);
      to += channels;
    });
  }
}

/// Asks for memory that is read or written soon. One vector of channels after the other leaves gaps that processors do not see
/// through by themselves.
template <bool kIsWritten>
COHORT_INLINE void fetch(const void* memory, int64_t begin, int64_t bytes) {
  const char* const from = static_cast<const char*>(memory) + begin;
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, kIsWritten ? 1 : 0, 2);
}

/// Calls `each(strip, first channel)` for every vector of channels of every strip of maps with so many rows and such a width;
/// threads share the strips.
template <typename Each>
COHORT_INLINE void forMaps(const DepthwiseShape& shape, int64_t rows, int64_t width, const void* from, int64_t fromRows,
                           int64_t fromWidth, void* to, const Each& each) {
  const int64_t bytes = shape.channels * (shape.isNarrow ? 2 : 4);
  const int threads = threadsFor(shape);
  const int64_t perStrip = rowsOf(shape, rows, width), perImage = (rows + perStrip - 1) / perStrip;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t i = 0; i < shape.batch * perImage; ++i) {
    const int64_t begin = i % perImage * perStrip;
    const Strip strip{i / perImage, begin, least(rows, begin + perStrip)};
    if (i + 1 < shape.batch * perImage) {
      const int64_t next = (i + 1) % perImage * perStrip, image = (i + 1) / perImage, last = least(rows, next + perStrip);
      fetch<true>(to, (image * rows + next) * width * bytes, (last - next) * width * bytes);
      const int64_t begun = next * fromRows / rows, ended = last * fromRows / rows;
      fetch<false>(from, (image * fromRows + begun) * fromWidth * bytes, (ended - begun) * fromWidth * bytes);
    }
    for (int64_t vector = 0; vector < vectorsOf(shape.channels); ++vector) each(strip, firstOf(vector, shape.channels));
  }
}

template <typename E>
void convolve(const DepthwiseShape& shape, const E* input, const float* weight, const float* bias, bool rectifies,
              bool isTurned, E* output) {
  const auto map = shape.stride == 1 ? rectifies ? convolveMap<1, true, E> : convolveMap<1, false, E>
                                     : rectifies ? convolveMap<2, true, E> : convolveMap<2, false, E>;
  forMaps(shape, shape.outHeight, shape.outWidth, input, shape.height, shape.width, output, [&](const Strip& strip, int64_t first) {
    map(shape, strip, first, input, weight, bias, isTurned, output);
  });
}

/// One vector of channels of the gradient by the input with stride 2. Pixels at even places were seen by the middle tap, those
/// at odd places by the two outer ones, in each direction.
template <typename E>
void spreadMap(const DepthwiseShape& shape, const Strip& strip, int64_t first, const E* gradient, const float* weight,
               E* result) {
  const int64_t channels = shape.channels;
  V taps[3][3];
  for (int i = 0; i < 9; ++i) taps[i / 3][i % 3] = load<kWidth>(weight + i * channels + first);
  for (int64_t y = strip.begin; y < strip.end; ++y) {
    const bool isOdd = y % 2 == 1;
    const auto row = [&](int64_t outY) {
      return rowOf(gradient, strip.image, outY, shape.outHeight, shape.outWidth, channels, first);
    };
    // An even row was seen once: the second row and its weights are zeros.
    const Row<E> rows[2] = {row(y / 2), row(isOdd ? y / 2 + 1 : -1)};
    V near[3], far[3];
    for (int j = 0; j < 3; ++j) {
      near[j] = isOdd ? taps[2][j] : taps[1][j];
      far[j] = isOdd ? taps[0][j] : V{};
    }
    E* const to = result + (strip.image * shape.height + y) * shape.width * channels + first;
    V here[2] = {rows[0].at(0), rows[1].at(0)};
    for (int64_t x = 0; x < shape.width; x += 2) {
      const V next[2] = {rows[0].at(x / 2 + 1), rows[1].at(x / 2 + 1)};
      V middle = near[1] * here[0];
      middle += far[1] * here[1];
      store<kWidth>(to + x * channels, middle);
      if (x + 1 < shape.width) {
        V sum = near[2] * here[0];
        sum += near[0] * next[0];
        sum += far[2] * here[1];
        sum += far[0] * next[1];
        store<kWidth>(to + (x + 1) * channels, sum);
      }
      here[0] = next[0];
      here[1] = next[1];
    }
  }
}

template <typename E>
void spread(const DepthwiseShape& shape, const E* gradient, const float* weight, E* result) {
  forMaps(shape, shape.height, shape.width, gradient, shape.outHeight, shape.outWidth, result, [&](const Strip& strip, int64_t first) {
    spreadMap(shape, strip, first, gradient, weight, result);
  });
}

/// Adds one strip to the sums [3][3] of one vector of channels.
template <int kStride, typename E>
void addMap(const DepthwiseShape& shape, const Strip& strip, int64_t first, const E* gradient, const E* input, float* sums) {
  const int64_t channels = shape.channels;
  V taps[3][3];
  for (int i = 0; i < 9; ++i) taps[i / 3][i % 3] = load<kWidth>(sums + i * kWidth);
  for (int64_t y = strip.begin; y < strip.end; ++y) {
    const auto row = [&](int64_t offset) {
      return rowOf(input, strip.image, kStride * y + offset, shape.height, shape.width, channels, first);
    };
    const Row<E> rows[3] = {row(-1), row(0), row(1)};
    const E* given = gradient + (strip.image * shape.outHeight + y) * shape.outWidth * channels + first;
    slide<kStride>(rows, shape.outWidth, [&](int64_t, const Window& window) __attribute__((always_inline)) {
      const V slope = load<kWidth>(given);
      for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) taps[i][j] += slope * window.pixels[i][j];
      }
      given += channels;
    });
  }
  for (int i = 0; i < 9; ++i) store<kWidth>(sums + i * kWidth, taps[i / 3][i % 3]);
}

/// Adds sums in float32, [vectors][3][3], to those in float64, [3][3][channels], and begins anew.
void flush(const DepthwiseShape& shape, float* sums, double* totals) {
  for (int64_t vector = 0; vector < vectorsOf(shape.channels); ++vector) {
    // What the last vector shares with the one before was added there.
    const int64_t first = firstOf(vector, shape.channels), skipped = vector * kWidth - first;
    for (int i = 0; i < 9; ++i) {
      float* const own = sums + (9 * vector + i) * kWidth;
      for (int64_t lane = skipped; lane < kWidth; ++lane) {
        totals[i * shape.channels + first + lane] += static_cast<double>(own[lane]);
      }
      store<kWidth>(own, V{});
    }
  }
}

/// Pixels that are summed in float32 before they are added in float64; an image at least.
constexpr int64_t kPixelsTogether = 1024;

/// Bytes of the sums of a chunk: in float64, then in float32.
int64_t totalBytes(const DepthwiseShape& shape) { return (9 * 8 * shape.channels + 63) / 64 * 64; }
int64_t chunkBytes(const DepthwiseShape& shape) { return totalBytes(shape) + 9 * 4 * kWidth * vectorsOf(shape.channels); }

int64_t scratchBytes(const DepthwiseShape& shape) { return least(kChunks, shape.batch) * chunkBytes(shape); }

template <typename E>
void sumWeights(const DepthwiseShape& shape, const E* gradient, const E* input, char* scratch, float* result) {
  const int threads = threadsFor(shape);
  const int64_t channels = shape.channels, numbers = 9 * channels, chunks = least(kChunks, shape.batch);
  const int64_t pixels = shape.outHeight * shape.outWidth, together = pixels < kPixelsTogether ? kPixelsTogether / pixels : 1;
  const int64_t perStrip = rowsOf(shape, shape.outHeight, shape.outWidth);
  const auto add = shape.stride == 1 ? addMap<1, E> : addMap<2, E>;
  const auto totalsOf = [&](int64_t chunk) { return reinterpret_cast<double*>(scratch + chunk * chunkBytes(shape)); };
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    double* const totals = totalsOf(chunk);
    auto* const sums = reinterpret_cast<float*>(scratch + chunk * chunkBytes(shape) + totalBytes(shape));
    for (int64_t i = 0; i < numbers; ++i) totals[i] = 0;
    for (int64_t i = 0; i < 9 * vectorsOf(channels); ++i) store<kWidth>(sums + i * kWidth, V{});
    const int64_t begin = chunk * shape.batch / chunks, end = (chunk + 1) * shape.batch / chunks;
    for (int64_t image = begin; image < end; ++image) {
      for (int64_t y = 0; y < shape.outHeight; y += perStrip) {
        const Strip strip{image, y, least(shape.outHeight, y + perStrip)};
        const int64_t bytes = channels * static_cast<int64_t>(sizeof(E)), rows = least(perStrip, shape.outHeight - strip.end);
        fetch<false>(gradient, (image * shape.outHeight + strip.end) * shape.outWidth * bytes, rows * shape.outWidth * bytes);
        fetch<false>(input, (image * shape.height + shape.stride * strip.end) * shape.width * bytes,
                     rows * shape.stride * shape.width * bytes);
        for (int64_t vector = 0; vector < vectorsOf(channels); ++vector) {
          add(shape, strip, firstOf(vector, channels), gradient, input, sums + 9 * kWidth * vector);
        }
      }
      if ((image - begin) % together == together - 1 || image == end - 1) flush(shape, sums, totals);
    }
  }
  for (int64_t i = 0; i < numbers; ++i) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += totalsOf(chunk)[i];
    result[i] = static_cast<float>(sum);
  }
}

template <typename E>
void differentiate(const DepthwiseShape& shape, const E* gradient, const float* weight, E* result) {
  if (shape.stride == 2) return spread(shape, gradient, weight, result);
  convolve(shape, gradient, weight, nullptr, false, true, result);
}

void convolution(const DepthwiseShape& shape, const void* input, const float* weight, const float* bias, bool rectifies,
                 void* output) {
  if (shape.isNarrow) {
    return convolve(shape, static_cast<const BFloat16*>(input), weight, bias, rectifies, false, static_cast<BFloat16*>(output));
  }
  convolve(shape, static_cast<const float*>(input), weight, bias, rectifies, false, static_cast<float*>(output));
}

void inputGradient(const DepthwiseShape& shape, const void* gradient, const float* weight, void* result) {
  if (shape.isNarrow) {
    return differentiate(shape, static_cast<const BFloat16*>(gradient), weight, static_cast<BFloat16*>(result));
  }
  differentiate(shape, static_cast<const float*>(gradient), weight, static_cast<float*>(result));
}

void weightGradient(const DepthwiseShape& shape, const void* gradient, const void* input, void* scratch, float* result) {
  auto* const sums = static_cast<char*>(scratch);
  if (shape.isNarrow) {
    return sumWeights(shape, static_cast<const BFloat16*>(gradient), static_cast<const BFloat16*>(input), sums, result);
  }
  sumWeights(shape, static_cast<const float*>(gradient), static_cast<const float*>(input), sums, result);
}

}  // namespace

extern const DepthwiseKernels COHORT_JOIN(depthwiseKernels_, COHORT_CAPABILITY);
const DepthwiseKernels COHORT_JOIN(depthwiseKernels_, COHORT_CAPABILITY) = {
    COHORT_TEXT(COHORT_CAPABILITY), supports, scratchBytes, convolution, inputGradient, weightGradient};

}  // namespace cohort
