// Winograd's convolution (Lavin and Gray, arXiv 1509.09308): a tile of pixels gives a tile of results with fewer products for
// every pair of channels than the definition takes, in one of two forms (winogradForms.h). Input, products and results of a
// few tiles stay in the second-level cache. The Makefile compiles this file for AVX2, AVX-512, AVX-512 with BF16 and VNNI, and
// NEON, with fused multiply-add.
#include "kernels/convolution/winograd/winogradKernels.h"

#include "kernels/convolution/winograd/winogradBounds.h"
#include "kernels/convolution/winograd/winogradPlan.h"
#include "kernels/convolution/winograd/winogradProducts.h"
#include "kernels/convolution/winograd/winogradTransforms.h"
#include "kernels/threadNumber.h"

namespace cohort {

#ifdef COHORT_FLOAT32_OF
extern const WinogradKernels COHORT_JOIN(winogradKernels_, COHORT_FLOAT32_OF);
#endif

namespace {

#ifdef COHORT_FLOAT32_OF
const WinogradKernels& kFloat32 = COHORT_JOIN(winogradKernels_, COHORT_FLOAT32_OF);
#endif

/// Fewer tiles in a picture do not repay the transformation of the weights; large weights take more, and still larger ones
/// never do. How many pictures there are does not matter: what a network says of one must not depend on its batch.
bool supports(const WinogradShape& shape) {
#ifndef COHORT_PAIRS
  if (shape.isNarrow) return false;
#endif
  const int64_t tiles = tilesOf<SmallTiles>(shape);
  const int64_t pixels = shape.height * shape.width * shape.phases;
  const int64_t weights = shape.inChannels * shape.outChannels;
  return shape.inChannels % kChannels == 0 && shape.outChannels % kChannels == 0 && shape.batch > 0 && tiles >= kFewestTiles &&
         (weights <= kMediumWeights || (weights <= kMostWeights && tiles >= kManyTiles && 28 * tiles <= 8 * pixels));
}

bool leavesRoom(const WinogradShape& shape) {
  return withForm(shape, [&](auto form) {
    const Plan<decltype(form)> plan(shape);
    return plan.tiles < plan.blockTiles;
  });
}

int64_t scratchBytes(const WinogradShape& shape) {
  return withForm(shape, [&](auto form) {
    const Plan<decltype(form)> plan(shape);
    return 4 * (plan.zeros + plan.chunks * plan.products + plan.threads * plan.threadNumbers());
  });
}

/// Zeros stand for the pixels around the maps and for the tiles after the last.
inline void clear(float* numbers, int64_t count) {
  for (int64_t i = 0; i < count; i += kWidth) store<kWidth>(numbers + i, V{});
}

/// The transformed input of a block, and where that is integers, a bound for each tile.
template <typename Form, int kNumber, typename E, typename Reading>
void transformBlock(const WinogradShape& shape, const Plan<Form>& plan, int64_t first, int64_t count, const E* input,
                    const E* zeros, const Reading& reading, float* bounds, typename Numbers<Form, E>::Number* transformed) {
  plan.forRuns(first, count, [&](const Tile& tile, int64_t length, int64_t place) {
#ifdef COHORT_PAIRS
    if constexpr (kIsScaled<Form, E>) {
      const float limit = FixedLimits(shape.inChannels).input;
      forBounds(shape, plan.tileColumns, tile, length, place, input, reading,
                [&](const Tile& start, int64_t part, int64_t to, float bound) {
                  const FixedScales scales(kInputShrink, limit, bound);
                  const Rows<Form, Scaled, kNumber> rows{transformed, shape.inChannels, plan.blockTiles, {scales.numbers.at}};
                  for (int64_t t = 0; t < part; ++t) bounds[to + t] = bound;
                  transformInput<Form, kNumber>(shape, start, part, input, zeros, reading, to, rows);
                });
      return;
    }
#endif
    if constexpr (!kIsScaled<Form, E>) {
      const Rows<Form, Numbers<Form, E>, kNumber> rows{transformed, shape.inChannels, plan.blockTiles, {}};
      transformInput<Form, kNumber>(shape, tile, length, input, zeros, reading, place, rows);
    }
  });
}

template <typename Form, typename E, typename Reading>
void convolveBlock(const WinogradShape& shape, const Plan<Form>& plan, int64_t first, const E* input, const E* zeros,
                   const Reading& reading, const typename Numbers<Form, E>::Number* weights, const WinogradFinish& finish,
                   typename Numbers<Form, E>::Number* transformed, float* products, E* output) {
  const int64_t count = least(plan.blockTiles, plan.tiles - first);
  float bounds[Form::kBlockTiles] = {};
  withChannels<Form>(shape, shape.inChannels, [&](auto in) {
    if constexpr (kIsScaled<Form, E>) {
      const Weighted<Reading> weighted{reading, factorsOf<Form>(shape, weights)};
      transformBlock<Form, in()>(shape, plan, first, count, input, zeros, weighted, bounds, transformed);
    } else {
      transformBlock<Form, in()>(shape, plan, first, count, input, zeros, reading, bounds, transformed);
    }
    multiplyTiles<Form, in()>(shape, count, transformed, weights, bounds, products);
  });
  withChannels<Form>(shape, shape.outChannels, [&](auto out) {
    plan.forRuns(first, count, [&](Tile tile, int64_t length, int64_t place) {
      const float* from = products + place * shape.outChannels;
      for (int64_t t = 0; t < length; ++t, ++tile.column, from += shape.outChannels) {
        transformOutput<Form, out()>(shape, tile, from, finish, output);
      }
    });
  });
}

template <typename Form, typename E, typename Reading>
void convolve(const WinogradShape& shape, const E* input, const Reading& reading, const float* weight, bool isTurned,
              const void* transformed, const WinogradFinish& finish, float* scratch, E* output) {
  using Number = typename Numbers<Form, E>::Number;
  const Plan<Form> plan(shape);
  auto* const own = reinterpret_cast<Number*>(scratch + plan.zeros);
  const auto* const weights = transformed == nullptr ? own : static_cast<const Number*>(transformed);
  const auto* const zeros = reinterpret_cast<const E*>(scratch);
  float* const rest = scratch + plan.zeros + plan.products;
  clear(scratch, plan.zeros);
  const int threads = static_cast<int>(plan.threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    float* const mine = rest + threadNumber() * plan.threadNumbers();
    clear(mine, Form::kPositions * plan.inStride);
    if (transformed == nullptr) {
      const KeptWeights<Form, E> ownWeights(shape, weight, isTurned);
#pragma omp for schedule(static)
      for (int64_t i = 0; i < shape.inChannels; i += kWidth) {
        transformWeights<Form>(shape, weight, isTurned, i, ownWeights.kept(), own);
        if constexpr (kIsScaled<Form, E>) {
          if (i == 0) {
            storeUnits<Form>(shape, ownWeights.units, own);
            memcpy(factorsOf<Form>(shape, own), ownWeights.factors, 4 * (shape.inChannels + shape.outChannels));
          }
        }
      }
    }
#pragma omp for schedule(static)
    for (int64_t block = 0; block < plan.blocks; ++block) {
      convolveBlock<Form>(shape, plan, block * plan.blockTiles, input, zeros, reading, weights, finish,
                          reinterpret_cast<Number*>(mine), mine + Form::kPositions * plan.inStride, output);
    }
  }
}

int64_t weightBytes(const WinogradShape& shape) {
  // Behind the weights is room for a factor of each channel.
  const int64_t factors = 4 * (shape.inChannels + shape.outChannels);
  return withForm(shape, [&](auto form) {
    return form.kPositions * weightStrideOf(shape) * (shape.isNarrow ? 2 : 4) + factors;
  });
}

/// Calls `each` with the form and the type of maps of a shape. Those in float32 are left to the file that is compiled without
/// instructions for bfloat16.
template <typename Each>
void withMaps([[maybe_unused]] const WinogradShape& shape, const Each& each) {
#ifdef COHORT_FLOAT32_OF
  withForm(shape, [&](auto form) { each(form, BFloat16()); });
#else
  withForm(shape, [&](auto form) { each(form, float()); });
#endif
}

void transformAllWeights(const WinogradShape& shape, const float* weight, void* transformed) {
#ifdef COHORT_FLOAT32_OF
  if (!shape.isNarrow) return kFloat32.transformWeights(shape, weight, transformed);
#endif
  withMaps(shape, [&](auto form, auto number) {
    using Form = decltype(form);
    using E = decltype(number);
    auto* const to = static_cast<typename Numbers<Form, E>::Number*>(transformed);
    const KeptWeights<Form, E> weights(shape, weight, false);
    for (int64_t i = 0; i < shape.inChannels; i += kWidth) transformWeights<Form>(shape, weight, false, i, weights.kept(), to);
    if constexpr (kIsScaled<Form, E>) {
      storeUnits<Form>(shape, weights.units, to);
      memcpy(factorsOf<Form>(shape, to), weights.factors, 4 * (shape.inChannels + shape.outChannels));
    }
  });
}

/// Calls `each` with the way to read the input.
template <typename Each>
void withReading(const WinogradNorm& norm, const Each& each) {
  if (norm.mean == nullptr) {
    each(AsTheyAre());
  } else {
    each(Normalised{norm});
  }
}

void convolution(const WinogradShape& shape, const void* input, const WinogradNorm& norm, const float* weight, bool isTurned,
                 const void* transformed, const WinogradFinish& finish, void* scratch, void* output) {
#ifdef COHORT_FLOAT32_OF
  if (!shape.isNarrow) {
    return kFloat32.convolution(shape, input, norm, weight, isTurned, transformed, finish, scratch, output);
  }
#endif
  withMaps(shape, [&](auto form, auto number) {
    using E = decltype(number);
    withReading(norm, [&](const auto& reading) {
      convolve<decltype(form)>(shape, static_cast<const E*>(input), reading, weight, isTurned, transformed, finish,
                               static_cast<float*>(scratch), static_cast<E*>(output));
    });
  });
}

/// The gradient of a vector of weights from the sums of all chunks, for each tap.
template <typename Form>
COHORT_INLINE void gatherWeights(const Plan<Form>& plan, const float* parts, int64_t at, int64_t stride, V (&taps)[9]) {
  constexpr int kSide = Form::kSide;
  V rows[3][kSide];
  for (int x = 0; x < kSide; ++x) {
    V column[kSide] = {};
    for (int y = 0; y < kSide; ++y) {
      for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
        column[y] += load<kWidth>(parts + chunk * plan.products + (kSide * y + x) * stride + at);
      }
    }
    V gathered[3];
    Form::gatherKernel(column, gathered);
    for (int y = 0; y < 3; ++y) rows[y][x] = gathered[y];
  }
  for (int y = 0; y < 3; ++y) {
    V gathered[3];
    Form::gatherKernel(rows[y], gathered);
    for (int x = 0; x < 3; ++x) taps[3 * y + x] = gathered[x];
  }
}

/// The gradients of the weights of `kWidth` input channels, the first of them `i`: sums of output channels side by side become
/// rows of input channels.
template <typename Form>
void gatherRows(const WinogradShape& shape, const Plan<Form>& plan, const float* parts, int64_t i, float* result) {
  const int64_t in = shape.inChannels, out = shape.outChannels;
  for (int64_t o = 0; o < out; o += kWidth) {
    V squares[9][kWidth];
    for (int j = 0; j < kWidth; ++j) {
      V taps[9];
      gatherWeights(plan, parts, (i + j) * out + o, weightStrideOf(shape), taps);
      for (int tap = 0; tap < 9; ++tap) squares[tap][j] = taps[tap];
    }
    for (int tap = 0; tap < 9; ++tap) {
      transpose(squares[tap]);
      for (int j = 0; j < kWidth; ++j) store<kWidth>(result + ((o + j) * 9 + tap) * in + i, squares[tap][j]);
    }
  }
}

/// What a block of tiles gives to the sums of a chunk; `mine` is what a thread works in.
template <typename Form, typename E, typename Reading>
void addBlock(const WinogradShape& shape, const Plan<Form>& plan, int64_t first, const E* gradient, const E* input,
              const E* zeros, const Reading& reading, float* mine, float* sums) {
  const int64_t count = least(plan.blockTiles, plan.tiles - first);
  float* const others = mine + Form::kPositions * plan.inStride;
  // Pairs of tiles in 16 bits take half of a thread's numbers; even tiles wait in the other half.
  constexpr int kShare = Element<E>::kIsNarrow ? 2 : 1;
  using Number = std::conditional_t<Element<E>::kIsNarrow, uint32_t, float>;
  auto* const spread = reinterpret_cast<Number*>(mine);
  auto* const otherSpread = reinterpret_cast<Number*>(others);
  const KeptFactors<Form, E> factors(shape, plan, first, count, gradient, input, reading);
  const auto& inputReading = factors.inputReading(reading);
  withChannels<Form>(shape, shape.inChannels, [&](auto in) {
    const auto sink = sinkOf<Form, in()>(spread, mine + Form::kPositions * plan.inStride / 2, shape.inChannels, plan.blockTiles,
                                         factors.input());
    plan.forRuns(first, count, [&](const Tile& tile, int64_t length, int64_t place) {
      transformInput<Form, in()>(shape, tile, length, input, zeros, inputReading, place, sink);
    });
    sink.finish(count);
  });
  withChannels<Form>(shape, shape.outChannels, [&](auto out) {
    const auto sink = sinkOf<Form, out()>(otherSpread, others + Form::kPositions * plan.outStride / 2, shape.outChannels,
                                          plan.blockTiles, factors.gradient());
    plan.forRuns(first, count, [&](const Tile& tile, int64_t length, int64_t place) {
      transformGradient<Form, out()>(shape, tile, length, gradient, zeros, factors.gradientReading(), place, sink);
    });
    sink.finish(count);
  });
  accumulateTiles<Form, Numbers<Form, E>>(shape, (count + kShare - 1) / kShare, spread, plan.inStride / kShare, otherSpread,
                                          plan.outStride / kShare, factors.units(), sums);
}

template <typename Form, typename E, typename Reading>
void differentiate(const WinogradShape& shape, const E* gradient, const E* input, const Reading& reading, float* scratch,
                   float* result) {
  const Plan<Form> plan(shape);
  const auto* const zeros = reinterpret_cast<const E*>(scratch);
  float* const parts = scratch + plan.zeros;
  float* const rest = parts + plan.chunks * plan.products;
  clear(scratch, plan.zeros);
  const int threads = static_cast<int>(least(plan.threads, plan.chunks));
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    float* const mine = rest + threadNumber() * plan.threadNumbers();
#pragma omp for schedule(static)
    for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
      float* const sums = parts + chunk * plan.products;
      clear(sums, plan.products);
      const int64_t lastBlock = (chunk + 1) * plan.blocks / plan.chunks;
      for (int64_t block = chunk * plan.blocks / plan.chunks; block < lastBlock; ++block) {
        addBlock(shape, plan, block * plan.blockTiles, gradient, input, zeros, reading, mine, sums);
      }
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < shape.inChannels; i += kWidth) gatherRows(shape, plan, parts, i, result);
  }
}

void weightGradient(const WinogradShape& shape, const void* gradient, const void* input, const WinogradNorm& norm,
                    void* scratch, float* result) {
#ifdef COHORT_FLOAT32_OF
  if (!shape.isNarrow) return kFloat32.weightGradient(shape, gradient, input, norm, scratch, result);
#endif
  withMaps(shape, [&](auto form, auto number) {
    using E = decltype(number);
    withReading(norm, [&](const auto& reading) {
      differentiate<decltype(form)>(shape, static_cast<const E*>(gradient), static_cast<const E*>(input), reading,
                                    static_cast<float*>(scratch), result);
    });
  });
}

}  // namespace

extern const WinogradKernels COHORT_JOIN(winogradKernels_, COHORT_CAPABILITY);
const WinogradKernels COHORT_JOIN(winogradKernels_, COHORT_CAPABILITY) = {
    COHORT_TEXT(COHORT_CAPABILITY), supports, leavesRoom, scratchBytes, weightBytes, transformAllWeights,
    convolution, weightGradient};

}  // namespace cohort
