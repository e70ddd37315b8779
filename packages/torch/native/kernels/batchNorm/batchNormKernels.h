// What the loops of fused batch normalisation take and give. They are compiled once for each width of vector instructions,
// so this header and theirs include nothing whose inline functions the linker could mix up between widths.
#pragma once

#include <stdint.h>

namespace cohort {

enum class ElementType { kFloat32, kFloat64, kBFloat16 };

/// Feature maps of one batch. Element (n, c, i) lies at `(n * inner + i) * channels + c` in rows (channels-last), else at
/// `(n * channels + c) * inner + i`. Parameters of a channel and saved statistics are float64 for float64, else float32.
struct BatchNormMaps {
  ElementType type;
  bool inRows;
  int64_t batch;
  int64_t channels;
  int64_t inner;
  /// How many threads may share the work; results do not depend on it.
  int threads;
};

/// The loops, compiled for one kind of processor.
struct BatchNormKernels {
  /// Most segments that `statistics` and `sums` divide the maps into; their scratch holds `2 * segments * channels` numbers.
  static constexpr int64_t kMostSegments = 64;

  const char* capability;

  /// Mean of every channel, and the sum of squared differences from it, in one pass.
  void (*statistics)(const BatchNormMaps&, const void* input, double* scratch, double* mean, double* squares);

  /// output = (input - mean) scale + bias + residual, and zero instead of what is negative where `rectifies`; `residual`
  /// may be null. NaN stays NaN.
  void (*forward)(const BatchNormMaps&, const void* input, const void* residual, const void* mean, const void* scale,
                  const void* bias, bool rectifies, void* output);

  /// masked = gradient where output > 0, or the gradient itself when `output` is null; of every channel, sum of masked and
  /// sum of masked (input - mean). `masked` is written unless it is null. Where there are `slope` and
  /// `bias`, (input - mean) slope + bias stands for the output, which need not be read; nothing is written then.
  void (*sums)(const BatchNormMaps&, const void* gradient, const void* output, const void* input, const void* mean,
               const void* slope, const void* bias, void* masked, double* scratch, double* sum, double* product);

  /// result = masked scale + (input - mean) slope + offset, where masked is `gradient` where output > 0, or `gradient`
  /// itself when `output` is null. A null `input` leaves out its term and the offset (evaluation). Where there are
  /// `maskSlope` and `maskBias`, (input - mean) maskSlope + maskBias stands for the output.
  void (*inputGradient)(const BatchNormMaps&, const void* gradient, const void* output, const void* input,
                        const void* mean, const void* scale, const void* slope, const void* offset,
                        const void* maskSlope, const void* maskBias, void* result);

  /// result = gradient where output > 0.
  void (*mask)(const BatchNormMaps&, const void* gradient, const void* output, void* result);

  /// Sums of every channel, one kind after the other: of `outer`, outer (input - mean), masked, masked (input - mean), and
  /// outer masked, where masked is as for `sums`. Scratch holds `kSecondSums * segments * channels` numbers.
  static constexpr int kSecondSums = 5;
  void (*secondSums)(const BatchNormMaps&, const void* outer, const void* gradient, const void* output, const void* input,
                     const void* mean, double* scratch, double* sums);

  /// With `given` = mean, a, b, c, d, e, f, g of every channel: ofGradient = outer a + (input - mean) b + c + residual, zero
  /// where the output is not positive, and ofInput = masked d + outer e + (input - mean) f + g. `output` and `residual` may
  /// be null.
  void (*secondGradients)(const BatchNormMaps&, const void* outer, const void* gradient, const void* output,
                          const void* input, const void* residual, const void* const (&given)[8], void* ofGradient,
                          void* ofInput);
};

/// The loops for the widest vectors of this processor, or the ones that COHORT_KERNELS names; null when that is `aten`.
const BatchNormKernels* batchNormKernels();

/// What `batchNormKernels` chose, in a word: `aten`, or the capability.
const char* kernelChoice();

/// Whether the loops were compiled with threads.
bool kernelsUseThreads();

}  // namespace cohort
