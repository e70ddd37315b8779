#include "binding/streams.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <stdexcept>

namespace cohort {
namespace {

/// `later` does nothing before all that was given to `earlier` is done; the thread does not wait.
void order(const c10::Stream& earlier, const c10::Stream& later) {
  c10::Event done(earlier.device_type());
  done.record(earlier);
  done.block(later);
}

}  // namespace

void SideStreams::fork(c10::Device device) {
  if (isForked()) throw std::logic_error("side streams are in use already");
  const c10::impl::VirtualGuardImpl guard(device.type());
  // Those of another card serve no more.
  if (!streams_.empty() && streams_.front().device() != device) streams_.clear();
  before_ = guard.getStream(device);
  used_.assign(streams_.size(), false);
}

void SideStreams::use(size_t index) {
  if (!isForked()) throw std::logic_error("side streams are used between fork and join");
  const c10::impl::VirtualGuardImpl guard(before_->device_type());
  while (streams_.size() <= index) streams_.push_back(guard.getStreamFromGlobalPool(before_->device()));
  used_.resize(streams_.size(), false);
  if (!used_[index]) {
    order(*before_, streams_[index]);
    used_[index] = true;
  }
  guard.exchangeStream(streams_[index]);
}

void SideStreams::join(const std::vector<at::Tensor>& results) {
  if (!isForked()) return;
  const c10::Stream before = *before_;
  before_.reset();
  const c10::impl::VirtualGuardImpl guard(before.device_type());
  guard.exchangeStream(before);
  for (size_t index = 0; index < streams_.size(); ++index) {
    if (used_[index]) order(streams_[index], before);
  }
  for (const auto& result : results) {
    if (result.device() == before.device() && result.has_storage()) {
      guard.recordDataPtrOnStream(result.storage().data_ptr(), before);
    }
  }
}

}  // namespace cohort
