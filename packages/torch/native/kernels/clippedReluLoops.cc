// These loops are worth vectors, and are compiled once, for any processor.
#include "kernels/clippedReluLoops.h"

namespace cohort {
namespace {

template <typename T>
void passNumbers(const T* __restrict values, const T* __restrict from, T* __restrict to, int64_t count, T ceiling) {
  for (int64_t i = 0; i < count; ++i) {
    const T gradient = from[i];
    to[i] = static_cast<bool>(!(values[i] <= T(0)) & !(values[i] >= ceiling)) ? gradient : T(0);
  }
}

/// As whole numbers, the bits of bfloat16 have the order of the numbers that they stand for.
void passBits(const int16_t* __restrict values, const int16_t* __restrict from, int16_t* __restrict to, int64_t count,
              int16_t ceiling) {
  constexpr int16_t infinity = 0x7F80;
  for (int64_t i = 0; i < count; ++i) {
    const int16_t value = values[i];
    const bool passes = ((value > 0) & (value < ceiling)) | ((value & 0x7FFF) > infinity);
    to[i] = static_cast<int16_t>(from[i] & -static_cast<int16_t>(passes));
  }
}

}  // namespace

void passBetween(const float* values, const float* from, float* to, int64_t count, float ceiling) {
  passNumbers(values, from, to, count, ceiling);
}
void passBetween(const double* values, const double* from, double* to, int64_t count, double ceiling) {
  passNumbers(values, from, to, count, ceiling);
}
void passBetween(const int16_t* values, const int16_t* from, int16_t* to, int64_t count, int16_t ceiling) {
  passBits(values, from, to, count, ceiling);
}

}  // namespace cohort
