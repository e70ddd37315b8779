// Streams of a graphics card for bodies of work that do not depend on one another: the networks of a cohort, between their
// images and their outputs. LibTorch's device interface does it all, so that nothing here needs the headers of CUDA.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <optional>
#include <vector>

namespace cohort {

/// Side streams of one thread. Between `fork` and `join`, work goes to the stream chosen last; outside, to the thread's own.
class SideStreams {
 public:
  /// Work on any side stream waits for all that was given to the current stream before.
  void fork(c10::Device device);
  /// What follows goes to side stream `index`, from 0. A stream is kept: the caching allocator keeps memory for each.
  void use(size_t index);
  /// The stream of before is current again, and waits for all side streams that were used. The memory of `results`, which
  /// side streams allocated, is not given to other work there while the stream of before may still read it.
  void join(const std::vector<at::Tensor>& results);
  bool isForked() const { return before_.has_value(); }

 private:
  std::vector<c10::Stream> streams_;
  std::vector<bool> used_;
  std::optional<c10::Stream> before_;
};

}  // namespace cohort
