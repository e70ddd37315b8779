// Stands in for Gloo's own header where that is not installed: what ProcessGroupGloo.hpp names and, in newer versions, calls.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

namespace transport {
class UnboundBuffer;
}  // namespace transport
}  // namespace gloo
