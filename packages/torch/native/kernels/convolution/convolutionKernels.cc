// The weight gradient of a convolution in bfloat16, at the processor's peak: products of two neighbouring pixels at a time
// (AVX-512 BF16) with a tile of the result in registers, while gradient and input stream by from the second-level cache.
// oneDNN 2.6 reaches a third to three quarters of this. The Makefile compiles this file for such processors only.
#include "kernels/convolution/convolutionKernels.h"
#include "kernels/threadNumber.h"
#include "kernels/vectors.h"

#include <immintrin.h>

namespace cohort {
namespace {

/// Output channels in a vector, and input channels in a tile.
constexpr int64_t kOut = 16;
constexpr int64_t kIn = 8;
/// Packed images that should stay in the second-level cache while every tile passes over them.
constexpr int64_t kGroupBytes = 256 << 10;

/// Weights beyond this are cut by output channels too: every chunk has a sum of its own, which takes memory and is added up.
constexpr int64_t kLargeResults = 1 << 18;
/// Their tiles pass from memory to registers and back for every group, so that larger groups pay.
constexpr int64_t kLargeGroupBytes = 768 << 10;

/// How the work is cut, by the shape alone.
struct Plan {
  explicit Plan(const ConvolutionShape& shape)
      : pairs((shape.outWidth + 1) / 2),
        // With stride 1 the last tap sees the pairs of the first, one further on.
        packedRows(shape.kernelSize == 1 ? 1 : shape.stride == 1 ? 2 : 3),
        inputPairs(shape.kernelSize == 3 && shape.stride == 1 ? pairs + 1 : pairs),
        inputNumbers(shape.inHeight * inputPairs * shape.inChannels),
        gradientNumbers(shape.outHeight * pairs * shape.outChannels),
        results(shape.kernelSize * shape.kernelSize * shape.inChannels * shape.outChannels),
        chunks(least(shape.batch, results <= 16384 ? 16 : results <= kLargeResults ? 8 : 2)),
        slices(results <= kLargeResults ? 1 : least(shape.outChannels / kOut, 4)),
        group(most(1, least((shape.batch + chunks - 1) / chunks, (slices == 1 ? kGroupBytes : kLargeGroupBytes) / (4 * imageNumbers())))) {}
  int64_t imageNumbers() const { return packedRows * inputNumbers + gradientNumbers; }
  int64_t firstOf(int64_t chunk, int64_t batch) const { return chunk * batch / chunks; }
  /// In blocks of 16 output channels.
  int64_t firstBlockOf(int64_t slice, int64_t outChannels) const { return slice * (outChannels / kOut) / slices; }

  /// Pairs of neighbouring output pixels in a row.
  int64_t pairs;
  /// How often the input is packed: once for every tap whose pairs are others.
  int64_t packedRows;
  int64_t inputPairs;
  /// 32-bit pairs of one packed image.
  int64_t inputNumbers;
  int64_t gradientNumbers;
  int64_t results;
  /// Parts of the batch that are summed apart.
  int64_t chunks;
  /// Parts of the output channels.
  int64_t slices;
  /// Images packed at a time.
  int64_t group;
};

inline __m512i widened(const uint16_t* pixel) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(pixel)));
}

/// 16 channels of two pixels as 16 pairs.
inline __m512i pairOf(const uint16_t* first, const uint16_t* second) {
  return _mm512_or_si512(widened(first), _mm512_slli_epi32(widened(second), 16));
}

/// The same, where a null pixel is zero.
inline __m512i edgePair(const uint16_t* first, const uint16_t* second) {
  const auto orZero = [](const uint16_t* pixel) { return pixel == nullptr ? _mm512_setzero_si512() : widened(pixel); };
  return _mm512_or_si512(orZero(first), _mm512_slli_epi32(orZero(second), 16));
}

/// Some blocks of 16 output channels.
struct Blocks {
  int64_t first;
  int64_t last;
};

/// Packs such blocks of the gradient of one image as [outChannels / 16][group][outHeight][pairs][16].
void packGradient(const ConvolutionShape& shape, const Plan& plan, const uint16_t* image, int64_t place, const Blocks& blocks,
                  uint32_t* packed) {
  const int64_t channels = shape.outChannels;
  for (int64_t block = blocks.first; block < blocks.last; ++block) {
    uint32_t* to = packed + (block * plan.group + place) * shape.outHeight * plan.pairs * kOut;
    for (int64_t y = 0; y < shape.outHeight; ++y) {
      const uint16_t* const row = image + y * shape.outWidth * channels + block * kOut;
      for (int64_t pair = 0; pair < plan.pairs; ++pair, to += kOut) {
        const bool isWhole = 2 * pair + 1 < shape.outWidth;
        _mm512_store_si512(to, edgePair(row + 2 * pair * channels, isWhole ? row + (2 * pair + 1) * channels : nullptr));
      }
    }
  }
}

/// Packs the input of one image, as the tap at column `tap` sees it, as [inChannels / 8][group][inHeight][inputPairs][8].
void packInput(const ConvolutionShape& shape, const Plan& plan, const uint16_t* image, int64_t tap, int64_t place,
               uint32_t* packed) {
  const int64_t channels = shape.inChannels;
  const int64_t blockNumbers = plan.group * shape.inHeight * plan.inputPairs * kIn;
  for (int64_t block = 0; block < channels / kOut; ++block) {
    uint32_t* to = packed + 2 * block * blockNumbers + place * shape.inHeight * plan.inputPairs * kIn;
    for (int64_t y = 0; y < shape.inHeight; ++y) {
      const uint16_t* const row = image + y * shape.inWidth * channels + block * kOut;
      const auto pixel = [&](int64_t outColumn) -> const uint16_t* {
        const int64_t column = outColumn * shape.stride + tap - shape.padding;
        return column >= 0 && column < shape.inWidth ? row + column * channels : nullptr;
      };
      const auto put = [&](int64_t pair, __m512i value) {
        uint32_t* const place = to + pair * kIn;
        _mm256_store_si256(reinterpret_cast<__m256i*>(place), _mm512_castsi512_si256(value));
        _mm256_store_si256(reinterpret_cast<__m256i*>(place + blockNumbers), _mm512_extracti64x4_epi64(value, 1));
      };
      // Only the pairs at the edges can reach beyond the row.
      const int64_t last = most(1, plan.inputPairs - 2);
      put(0, edgePair(pixel(0), pixel(1)));
      const uint16_t* seen = row + (2 * shape.stride + tap - shape.padding) * channels;
      const int64_t step = shape.stride * channels;
      for (int64_t pair = 1; pair < last; ++pair, seen += 2 * step) put(pair, pairOf(seen, seen + step));
      for (int64_t pair = last; pair < plan.inputPairs; ++pair) put(pair, edgePair(pixel(2 * pair), pixel(2 * pair + 1)));
      to += plan.inputPairs * kIn;
    }
  }
}

/// Adds what `images` packed images give to one tile: `kTaps` columns of one row of taps, 8 input and 16 output channels.
template <int kTaps>
void addTile(const ConvolutionShape& shape, const Plan& plan, int64_t tapRow, int64_t images, const uint32_t* gradient,
             const uint32_t* const (&input)[kTaps], float* const (&result)[kTaps]) {
  __m512 sums[kTaps][kIn];
  for (int t = 0; t < kTaps; ++t) {
    for (int i = 0; i < kIn; ++i) sums[t][i] = _mm512_loadu_ps(result[t] + i * shape.outChannels);
  }
  // Rows of the output whose tap falls on the input.
  const int64_t shift = tapRow - shape.padding;
  const int64_t begin = shift < 0 ? (-shift + shape.stride - 1) / shape.stride : 0;
  const int64_t end = least(shape.outHeight, (shape.inHeight - 1 - shift) / shape.stride + 1);
  for (int64_t image = 0; image < images; ++image) {
    for (int64_t y = begin; y < end; ++y) {
      const uint32_t* given = gradient + (image * shape.outHeight + y) * plan.pairs * kOut;
      const int64_t at = (image * shape.inHeight + y * shape.stride + shift) * plan.inputPairs * kIn;
      for (int64_t pair = 0; pair < plan.pairs; ++pair, given += kOut) {
        const auto left = reinterpret_cast<__m512bh>(_mm512_load_si512(given));
        for (int t = 0; t < kTaps; ++t) {
          const uint32_t* const seen = input[t] + at + pair * kIn;
          for (int i = 0; i < kIn; ++i) {
            const auto right = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(seen[i])));
            sums[t][i] = _mm512_dpbf16_ps(sums[t][i], left, right);
          }
        }
      }
    }
  }
  for (int t = 0; t < kTaps; ++t) {
    for (int i = 0; i < kIn; ++i) _mm512_storeu_ps(result[t] + i * shape.outChannels, sums[t][i]);
  }
}

/// Sums over some images into such blocks of `result`, [y][x][i][o]. `packed` holds a group of images.
template <int kTaps>
void addImages(const ConvolutionShape& shape, const Plan& plan, const uint16_t* gradient, const uint16_t* input,
               int64_t first, int64_t last, const Blocks& blocks, uint32_t* packed, float* result) {
  const int64_t gradientSize = shape.outHeight * shape.outWidth * shape.outChannels;
  const int64_t inputSize = shape.inHeight * shape.inWidth * shape.inChannels;
  const int64_t packedInput = plan.group * plan.inputNumbers;
  uint32_t* const packedGradient = packed + plan.packedRows * packedInput;
  const int64_t outBlock = plan.group * shape.outHeight * plan.pairs * kOut;
  const int64_t inBlock = plan.group * shape.inHeight * plan.inputPairs * kIn;
  for (int64_t start = first; start < last; start += plan.group) {
    const int64_t images = least(plan.group, last - start);
    for (int64_t image = 0; image < images; ++image) {
      packGradient(shape, plan, gradient + (start + image) * gradientSize, image, blocks, packedGradient);
      for (int64_t tap = 0; tap < plan.packedRows; ++tap) {
        packInput(shape, plan, input + (start + image) * inputSize, tap, image, packed + tap * packedInput);
      }
    }
    for (int64_t out = blocks.first; out < blocks.last; ++out) {
      for (int64_t tapRow = 0; tapRow < shape.kernelSize; ++tapRow) {
        for (int64_t in = 0; in < shape.inChannels / kIn; ++in) {
          const uint32_t* seen[kTaps];
          float* sums[kTaps];
          for (int t = 0; t < kTaps; ++t) {
            const bool isFirstMoved = t == 2 && plan.packedRows == 2;
            seen[t] = packed + (isFirstMoved ? 0 : t) * packedInput + in * inBlock + (isFirstMoved ? kIn : 0);
            sums[t] = result + ((tapRow * kTaps + t) * shape.inChannels + in * kIn) * shape.outChannels + out * kOut;
          }
          addTile<kTaps>(shape, plan, tapRow, images, packedGradient + out * outBlock, seen, sums);
        }
      }
    }
  }
}

bool supports(const ConvolutionShape& shape) {
  const bool isKnown = (shape.kernelSize == 3 && shape.padding == 1) || (shape.kernelSize == 1 && shape.padding == 0);
  return isKnown && (shape.stride == 1 || shape.stride == 2) && shape.inChannels % kOut == 0 &&
         shape.outChannels % kOut == 0 && shape.batch > 0 && shape.outHeight > 0 && shape.outWidth > 0;
}

int64_t threadsFor(const ConvolutionShape& shape, const Plan& plan) { return most(1, least(shape.threads, plan.chunks * plan.slices)); }

int64_t scratchBytes(const ConvolutionShape& shape) {
  const Plan plan(shape);
  return 4 * (plan.chunks * plan.results + threadsFor(shape, plan) * plan.group * plan.imageNumbers());
}

void weightGradient(const ConvolutionShape& shape, const void* gradientData, const void* inputData, void* scratch,
                    float* result) {
  const Plan plan(shape);
  const auto* const gradient = static_cast<const uint16_t*>(gradientData);
  const auto* const input = static_cast<const uint16_t*>(inputData);
  auto* const parts = static_cast<float*>(scratch);
  auto* const packed = static_cast<uint32_t*>(scratch) + plan.chunks * plan.results;
  const int threads = static_cast<int>(threadsFor(shape, plan));
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const int64_t thread = threadNumber();
#pragma omp for schedule(static)
    for (int64_t task = 0; task < plan.chunks * plan.slices; ++task) {
      const int64_t chunk = task / plan.slices, slice = task % plan.slices;
      const Blocks blocks{plan.firstBlockOf(slice, shape.outChannels), plan.firstBlockOf(slice + 1, shape.outChannels)};
      float* const part = parts + chunk * plan.results;
      for (int64_t row = 0; row < plan.results; row += shape.outChannels) {
        for (int64_t block = blocks.first; block < blocks.last; ++block) {
          _mm512_store_ps(part + row + block * kOut, _mm512_setzero_ps());
        }
      }
      const auto add = shape.kernelSize == 3 ? addImages<3> : addImages<1>;
      add(shape, plan, gradient, input, plan.firstOf(chunk, shape.batch), plan.firstOf(chunk + 1, shape.batch),
          blocks, packed + thread * plan.group * plan.imageNumbers(), part);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < plan.results; i += 16) {
      __m512 sum = _mm512_load_ps(parts + i);
      for (int64_t chunk = 1; chunk < plan.chunks; ++chunk) {
        sum = _mm512_add_ps(sum, _mm512_load_ps(parts + chunk * plan.results + i));
      }
      _mm512_storeu_ps(result + i, sum);
    }
  }
}

}  // namespace

extern const ConvolutionKernels convolutionKernels_avx512bf16;
const ConvolutionKernels convolutionKernels_avx512bf16 = {"avx512bf16", supports, scratchBytes, weightGradient};

}  // namespace cohort
