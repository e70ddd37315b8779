// The loops of fused batch normalisation. The Makefile compiles this file once for each width of vector instructions, with
// COHORT_CAPABILITY as its name; kernelChoice.cc picks one at start-up.
#include "kernels/batchNorm/batchNormSecondSums.h"
#include "kernels/batchNorm/batchNormStatistics.h"
#include "kernels/batchNorm/batchNormSums.h"

#ifndef COHORT_CAPABILITY
#define COHORT_CAPABILITY baseline
#endif

namespace cohort {
#ifdef COHORT_FLOAT32_OF
extern const BatchNormKernels COHORT_JOIN(batchNormKernels_, COHORT_FLOAT32_OF);
#endif
#ifdef COHORT_FLOAT64_OF
extern const BatchNormKernels COHORT_JOIN(batchNormKernels_, COHORT_FLOAT64_OF);
#endif
namespace {

template <typename E, bool kRectifies>
void normalise(const BatchNormMaps& maps, const void* inputData, const void* residualData, const void* mean,
               const void* scale, const void* bias, void* outputData) {
  const auto* const input = static_cast<const E*>(inputData);
  const auto* const residual = static_cast<const E*>(residualData);
  auto* const output = static_cast<E*>(outputData);
  const Wide<E>* const parameters[3] = {static_cast<const Wide<E>*>(mean), static_cast<const Wide<E>*>(scale),
                                        static_cast<const Wide<E>*>(bias)};
  const auto rectified = [](auto value) {
    if constexpr (kRectifies) return whereNotNegative(value, value);
    return value;
  };
  if (residual == nullptr) {
    forElements<E>(maps, parameters, [=](auto lanes, int64_t at, const auto& given) {
      constexpr int W = decltype(lanes)::W;
      store<W>(output + at, rectified((load<W>(input + at) - given[0]) * given[1] + given[2]));
    });
  } else {
    forElements<E>(maps, parameters, [=](auto lanes, int64_t at, const auto& given) {
      constexpr int W = decltype(lanes)::W;
      const auto normalised = (load<W>(input + at) - given[0]) * given[1] + given[2];
      store<W>(output + at, rectified(normalised + load<W>(residual + at)));
    });
  }
}

template <typename E>
void forwardOf(const BatchNormMaps& maps, const void* input, const void* residual, const void* mean, const void* scale,
               const void* bias, bool rectifies, void* output) {
  const auto run = rectifies ? normalise<E, true> : normalise<E, false>;
  run(maps, input, residual, mean, scale, bias, output);
}

template <typename E>
void inputGradientOf(const BatchNormMaps& maps, const void* gradientData, const void* outputData, const void* inputData,
                     const void* mean, const void* scale, const void* slope, const void* offset, const void* maskSlope,
                     const void* maskBias, void* resultData) {
  const auto* const gradient = static_cast<const E*>(gradientData);
  const auto* const output = static_cast<const E*>(outputData);
  const auto* const input = static_cast<const E*>(inputData);
  auto* const result = static_cast<E*>(resultData);
  const auto wide = [](const void* data) { return static_cast<const Wide<E>*>(data); };
  if (input == nullptr) {
    const Wide<E>* const parameters[1] = {wide(scale)};
    forElements<E>(maps, parameters, [=](auto lanes, int64_t at, const auto& given) {
      constexpr int W = decltype(lanes)::W;
      const auto value = load<W>(gradient + at);
      store<W>(result + at, given[0] * (output == nullptr ? value : whereNotNegative(load<W>(output + at), value)));
    });
    return;
  }
  if (maskSlope != nullptr) {
    const Wide<E>* const parameters[6] = {wide(scale), wide(mean), wide(slope), wide(offset), wide(maskSlope), wide(maskBias)};
    forElements<E>(maps, parameters, [=](auto lanes, int64_t at, const auto& given) {
      constexpr int W = decltype(lanes)::W;
      const auto difference = load<W>(input + at) - given[1];
      const auto fromInput = difference * given[2] + given[3];
      store<W>(result + at, whereNotNegative(difference * given[4] + given[5], load<W>(gradient + at)) * given[0] + fromInput);
    });
    return;
  }
  const Wide<E>* const parameters[4] = {wide(scale), wide(mean), wide(slope), wide(offset)};
  if (output == nullptr) {
    forElements<E>(maps, parameters, [=](auto lanes, int64_t at, const auto& given) {
      constexpr int W = decltype(lanes)::W;
      const auto fromInput = (load<W>(input + at) - given[1]) * given[2] + given[3];
      store<W>(result + at, load<W>(gradient + at) * given[0] + fromInput);
    });
  } else {
    forElements<E>(maps, parameters, [=](auto lanes, int64_t at, const auto& given) {
      constexpr int W = decltype(lanes)::W;
      const auto fromInput = (load<W>(input + at) - given[1]) * given[2] + given[3];
      store<W>(result + at, whereNotNegative(load<W>(output + at), load<W>(gradient + at)) * given[0] + fromInput);
    });
  }
}

template <typename E>
void maskOf(const BatchNormMaps& maps, const void* gradientData, const void* outputData, void* resultData) {
  const auto* const gradient = static_cast<const E*>(gradientData);
  const auto* const output = static_cast<const E*>(outputData);
  auto* const result = static_cast<E*>(resultData);
  constexpr int W = Element<E>::kWidest;
  const int64_t count = maps.batch * maps.channels * maps.inner;
  const int threads = threadsFor(maps);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t block = 0; block < count / W; ++block) {
    const int64_t at = block * W;
    store<W>(result + at, whereNotNegative(load<W>(output + at), load<W>(gradient + at)));
  }
  for (int64_t at = count / W * W; at < count; ++at) {
    store<1>(result + at, whereNotNegative(load<1>(output + at), load<1>(gradient + at)));
  }
}

/// Calls the form of a loop for the type of the elements. Where the Makefile names another width for a type, the loop of
/// that width is called: it computes the same, and is not compiled once more.
#ifdef COHORT_FLOAT32_OF
#define COHORT_FLOAT32(member, loop, ...) COHORT_JOIN(batchNormKernels_, COHORT_FLOAT32_OF).member(maps, __VA_ARGS__)
#else
#define COHORT_FLOAT32(member, loop, ...) loop<float>(maps, __VA_ARGS__)
#endif
#ifdef COHORT_FLOAT64_OF
#define COHORT_FLOAT64(member, loop, ...) COHORT_JOIN(batchNormKernels_, COHORT_FLOAT64_OF).member(maps, __VA_ARGS__)
#else
#define COHORT_FLOAT64(member, loop, ...) loop<double>(maps, __VA_ARGS__)
#endif
#define COHORT_BY_TYPE(member, loop, ...)                \
  switch (maps.type) {                                   \
    case ElementType::kFloat32:                          \
      return COHORT_FLOAT32(member, loop, __VA_ARGS__);  \
    case ElementType::kFloat64:                          \
      return COHORT_FLOAT64(member, loop, __VA_ARGS__);  \
    case ElementType::kBFloat16:                         \
      return loop<BFloat16>(maps, __VA_ARGS__);          \
  }

void statistics(const BatchNormMaps& maps, const void* input, double* scratch, double* mean, double* squares) {
  COHORT_BY_TYPE(statistics, statisticsOf, input, scratch, mean, squares)
}
void forward(const BatchNormMaps& maps, const void* input, const void* residual, const void* mean, const void* scale,
             const void* bias, bool rectifies, void* output) {
  COHORT_BY_TYPE(forward, forwardOf, input, residual, mean, scale, bias, rectifies, output)
}
void sums(const BatchNormMaps& maps, const void* gradient, const void* output, const void* input, const void* mean,
          const void* slope, const void* bias, void* masked, double* scratch, double* sum, double* product) {
  COHORT_BY_TYPE(sums, sumsOf, gradient, output, input, mean, slope, bias, masked, scratch, sum, product)
}
void inputGradient(const BatchNormMaps& maps, const void* gradient, const void* output, const void* input, const void* mean,
                   const void* scale, const void* slope, const void* offset, const void* maskSlope, const void* maskBias,
                   void* result) {
  COHORT_BY_TYPE(inputGradient, inputGradientOf, gradient, output, input, mean, scale, slope, offset, maskSlope, maskBias, result)
}
void mask(const BatchNormMaps& maps, const void* gradient, const void* output, void* result) {
  COHORT_BY_TYPE(mask, maskOf, gradient, output, result)
}
void secondSums(const BatchNormMaps& maps, const void* outer, const void* gradient, const void* output, const void* input,
                const void* mean, double* scratch, double* sums) {
  COHORT_BY_TYPE(secondSums, secondSumsOf, outer, gradient, output, input, mean, scratch, sums)
}
void secondGradients(const BatchNormMaps& maps, const void* outer, const void* gradient, const void* output,
                     const void* input, const void* residual, const void* const (&given)[8], void* ofGradient,
                     void* ofInput) {
  COHORT_BY_TYPE(secondGradients, secondGradientsOf, outer, gradient, output, input, residual, given, ofGradient, ofInput)
}

}  // namespace

extern const BatchNormKernels COHORT_JOIN(batchNormKernels_, COHORT_CAPABILITY);
const BatchNormKernels COHORT_JOIN(batchNormKernels_, COHORT_CAPABILITY) = {
    COHORT_TEXT(COHORT_CAPABILITY), statistics, forward, sums, inputGradient, mask, secondSums,
    secondGradients};

}  // namespace cohort
