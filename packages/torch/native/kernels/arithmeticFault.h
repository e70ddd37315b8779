// What is thrown where no way of computing something is right on this machine.
#pragma once

#include <stdexcept>

namespace cohort {

/// The message says what is wrong and what to do.
struct ArithmeticFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace cohort
