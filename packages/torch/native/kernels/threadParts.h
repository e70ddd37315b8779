// Parts of some work that threads share. It stands apart from what includes LibTorch's headers, whose loops would be others where
// the compiler is told of OpenMP.
#pragma once

#include <stdint.h>

namespace cohort {

/// Calls `each(context, part)` for the parts from 0 on so many threads, whichever is free next; `each` does not throw.
void forEachPart(int64_t parts, int threads, void (*each)(const void*, int64_t), const void* context);

}  // namespace cohort
