// Side streams on a stand-in for a graphics card, which notes what it is told; prints that, a line each. Built and read by
// src/streams.test.ts, with a LibTorch that knows no graphics card.
#include "binding/streams.h"

#include <ATen/Functions.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstdio>

namespace {

c10::Stream streamOf(int id) { return c10::Stream(c10::Stream::UNSAFE, c10::Device(c10::kCUDA, 0), id); }

int current = 0, fromPool = 0, events = 0;

struct Recorder final : public c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device device) const override { return device; }
  c10::Device getDevice() const override { return c10::Device(c10::kCUDA, 0); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Stream getStream(c10::Device) const noexcept override { return streamOf(current); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return streamOf(++fromPool); }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override {
    const auto before = streamOf(current);
    current = static_cast<int>(stream.id());
    std::printf("current %d\n", current);
    return before;
  }
  void record(void** event, const c10::Stream& stream, const c10::DeviceIndex, const c10::EventFlag) const override {
    *event = reinterpret_cast<void*>(static_cast<intptr_t>(++events));
    std::printf("event %d after %d\n", events, static_cast<int>(stream.id()));
  }
  void block(void* event, const c10::Stream& stream) const override {
    std::printf("%d waits for event %d\n", static_cast<int>(stream.id()), static_cast<int>(reinterpret_cast<intptr_t>(event)));
  }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
};

C10_REGISTER_GUARD_IMPL(CUDA, Recorder)

}  // namespace

int main() {
  cohort::SideStreams streams;
  const c10::Device card(c10::kCUDA, 0);
  for (int step = 0; step < 2; ++step) {
    std::printf("step %d\n", step);
    streams.fork(card);
    streams.use(0);
    streams.use(1);
    streams.use(0);
    streams.join({at::zeros({1})});
  }
  std::printf("one network\n");
  streams.fork(card);
  streams.use(1);
  streams.join({});
  streams.join({});
  std::printf("refused\n");
  for (const bool twice : {false, true}) {
    try {
      if (twice) {
        streams.fork(card);
        streams.fork(card);
      } else {
        streams.use(0);
      }
    } catch (const std::logic_error& error) {
      std::printf("%s\n", error.what());
    }
  }
}
