// What the gradient of a clipped ReLU lets pass, without branches: signs are as good as random.
#pragma once

#include <stdint.h>

namespace cohort {

/// to = from where a value lies strictly between 0 and the ceiling, or is NaN, else 0.
void passBetween(const float* values, const float* from, float* to, int64_t count, float ceiling);
void passBetween(const double* values, const double* from, double* to, int64_t count, double ceiling);
/// The same for bfloat16 by its bits.
void passBetween(const int16_t* values, const int16_t* from, int16_t* to, int64_t count, int16_t ceiling);

}  // namespace cohort
