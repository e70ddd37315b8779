// Stands in for Gloo's own header where that is not installed: what ProcessGroupGloo.hpp only names.
#pragma once

namespace gloo {
namespace transport {
class Device;
}  // namespace transport
}  // namespace gloo
