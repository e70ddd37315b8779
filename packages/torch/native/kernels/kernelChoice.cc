// Picks the loops of our own operators for this processor, once, when they are first asked for.
#include <cstdlib>
#include <cstring>

#include "kernels/batchNorm/batchNormKernels.h"
#include "kernels/channels/shuffledNormKernels.h"
#include "kernels/convolution/convolutionKernels.h"
#include "kernels/convolution/depthwise/depthwiseKernels.h"
#include "kernels/convolution/pointwise/pointwiseKernels.h"
#include "kernels/convolution/winograd/winogradKernels.h"

namespace cohort {

extern const BatchNormKernels batchNormKernels_baseline;
#ifdef COHORT_X86_KERNELS
extern const BatchNormKernels batchNormKernels_avx2;
extern const BatchNormKernels batchNormKernels_avx512;
extern const BatchNormKernels batchNormKernels_avx512bf16;
extern const ConvolutionKernels convolutionKernels_avx512bf16;
extern const DepthwiseKernels depthwiseKernels_avx2;
extern const DepthwiseKernels depthwiseKernels_avx512;
extern const DepthwiseKernels depthwiseKernels_avx512bf16;
extern const PointwiseKernels pointwiseKernels_avx512;
extern const PointwiseKernels pointwiseKernels_avx512bf16;
extern const ShuffledNormKernels shuffledNormKernels_avx512;
extern const ShuffledNormKernels shuffledNormKernels_avx512bf16;
extern const WinogradKernels winogradKernels_avx2;
extern const WinogradKernels winogradKernels_avx512;
extern const WinogradKernels winogradKernels_avx512bf16;
#endif
#ifdef COHORT_NEON_KERNELS
extern const DepthwiseKernels depthwiseKernels_neon;
extern const WinogradKernels winogradKernels_neon;
#endif

namespace {

/// COHORT_CONVOLUTION=direct leaves out Winograd's convolution and our own depthwise and 1x1 ones.
[[maybe_unused]] bool wantsDirect() {
  const char* const wanted = std::getenv("COHORT_CONVOLUTION");
  return wanted != nullptr && std::strcmp(wanted, "direct") == 0;
}

/// COHORT_KERNELS may name ATen's own operators, or narrower vectors than there are.
const BatchNormKernels* choose() {
  const char* const wanted = std::getenv("COHORT_KERNELS");
  const auto isWanted = [&](const char* name) { return wanted != nullptr && std::strcmp(wanted, name) == 0; };
  if (isWanted("aten")) return nullptr;
  const BatchNormKernels* chosen = &batchNormKernels_baseline;
#ifdef COHORT_X86_KERNELS
  __builtin_cpu_init();
  if (isWanted("baseline")) return chosen;
  if (__builtin_cpu_supports("avx2")) chosen = &batchNormKernels_avx2;
  if (isWanted("avx2")) return chosen;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq")) {
    chosen = &batchNormKernels_avx512;
    if (!isWanted("avx512") && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni")) {
      chosen = &batchNormKernels_avx512bf16;
    }
  }
#endif
  return chosen;
}

}  // namespace

const BatchNormKernels* batchNormKernels() {
  static const BatchNormKernels* const chosen = choose();
  return chosen;
}

const ConvolutionKernels* convolutionKernels() {
#ifdef COHORT_X86_KERNELS
  return batchNormKernels() == &batchNormKernels_avx512bf16 ? &convolutionKernels_avx512bf16 : nullptr;
#else
  return nullptr;
#endif
}

namespace {

/// Of the versions of a file with fused multiply-add, the one for this processor.
#ifdef COHORT_X86_KERNELS
template <typename Kernels>
const Kernels* chooseFused(const Kernels& avx2, const Kernels& avx512, const Kernels& avx512bf16) {
  if (wantsDirect()) return nullptr;
  const BatchNormKernels* const others = batchNormKernels();
  if (others == &batchNormKernels_avx512bf16) return &avx512bf16;
  if (others == &batchNormKernels_avx512) return &avx512;
  return others == &batchNormKernels_avx2 && __builtin_cpu_supports("fma") ? &avx2 : nullptr;
}
#endif

}  // namespace

const DepthwiseKernels* depthwiseKernels() {
#ifdef COHORT_X86_KERNELS
  static const DepthwiseKernels* const chosen =
      chooseFused(depthwiseKernels_avx2, depthwiseKernels_avx512, depthwiseKernels_avx512bf16);
  return chosen;
#elif defined(COHORT_NEON_KERNELS)
  static const DepthwiseKernels* const chosen =
      wantsDirect() || batchNormKernels() == nullptr ? nullptr : &depthwiseKernels_neon;
  return chosen;
#else
  return nullptr;
#endif
}

const PointwiseKernels* pointwiseKernels() {
#ifdef COHORT_X86_KERNELS
  static const PointwiseKernels* const chosen = [] {
    const BatchNormKernels* const others = batchNormKernels();
    if (wantsDirect()) return static_cast<const PointwiseKernels*>(nullptr);
    if (others == &batchNormKernels_avx512bf16) return &pointwiseKernels_avx512bf16;
    return others == &batchNormKernels_avx512 ? &pointwiseKernels_avx512 : nullptr;
  }();
  return chosen;
#else
  return nullptr;
#endif
}

const ShuffledNormKernels* shuffledNormKernels() {
#ifdef COHORT_X86_KERNELS
  const BatchNormKernels* const others = batchNormKernels();
  if (others == &batchNormKernels_avx512bf16) return &shuffledNormKernels_avx512bf16;
  return others == &batchNormKernels_avx512 ? &shuffledNormKernels_avx512 : nullptr;
#else
  return nullptr;
#endif
}

const WinogradKernels* winogradKernels() {
#ifdef COHORT_X86_KERNELS
  static const WinogradKernels* const chosen =
      chooseFused(winogradKernels_avx2, winogradKernels_avx512, winogradKernels_avx512bf16);
  return chosen;
#elif defined(COHORT_NEON_KERNELS)
  // Every aarch64 processor has NEON with fused multiply-add.
  static const WinogradKernels* const chosen =
      wantsDirect() || batchNormKernels() == nullptr ? nullptr : &winogradKernels_neon;
  return chosen;
#else
  return nullptr;
#endif
}

const char* kernelChoice() {
  return batchNormKernels() == nullptr ? "aten" : batchNormKernels()->capability;
}

bool kernelsUseThreads() {
#ifdef COHORT_OPENMP
  return true;
#else
  return false;
#endif
}

}  // namespace cohort
