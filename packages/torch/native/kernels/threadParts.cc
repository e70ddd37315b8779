#include "kernels/threadParts.h"

namespace cohort {

void forEachPart(int64_t parts, int threads, void (*each)(const void*, int64_t), const void* context) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
  for (int64_t part = 0; part < parts; ++part) each(context, part);
}

}  // namespace cohort
