// Whether operators convert what they are given on the way, in whatever version of LibTorch.
#pragma once

#include <ATen/autocast_mode.h>

namespace cohort {

inline bool isAutocast() {
#if COHORT_TORCH_VERSION >= 20400
  return at::autocast::is_autocast_enabled(at::kCPU);
#else
  return at::autocast::is_cpu_enabled();
#endif
}

}  // namespace cohort
