// The vectors of loops that compute in float32 with instructions of one width: as many numbers as the widest hold.
#pragma once

#include "kernels/vectors.h"

namespace cohort {
namespace {

#ifdef __AVX512F__
constexpr int kWidth = 16;
#else
constexpr int kWidth = 8;
#endif
using V = Vector<float, kWidth>;

}  // namespace
}  // namespace cohort
