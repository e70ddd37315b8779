// Which thread of a parallel loop this is.
#pragma once

#include <stdint.h>

#ifdef COHORT_OPENMP
#include <omp.h>
#endif

namespace cohort {
namespace {

/// From 0 on; 0 where the compiler has no OpenMP.
inline int64_t threadNumber() {
#ifdef COHORT_OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

}  // namespace
}  // namespace cohort
