// Stands in for Gloo's own header where that is not installed: what ProcessGroupGloo.hpp only names.
#pragma once

namespace gloo {
class Context;
namespace transport {
class UnboundBuffer;
}  // namespace transport
}  // namespace gloo
