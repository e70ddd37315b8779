// The loops that move channels about. Nothing is computed, so they are compiled once, for any processor.
#include "kernels/channels/channelLoops.h"

#include <string.h>

namespace cohort {
namespace {

template <typename Each>
void withNumber(int bytes, const Each& each) {
  if (bytes == 2) return each(uint16_t());
  if (bytes == 4) return each(uint32_t());
  each(uint64_t());
}

template <typename T>
void interleave(const ChannelRows& shape, const T* __restrict left, const T* __restrict right, T* __restrict both) {
  // One run: rows follow each other without gaps on all sides.
  const int64_t count = shape.rows * shape.half;
  for (int64_t i = 0; i < count; ++i) {
    both[2 * i] = left[i];
    both[2 * i + 1] = right[i];
  }
}

template <typename T>
void separate(const ChannelRows& shape, const T* __restrict both, T* __restrict left, T* __restrict right) {
  const int64_t count = shape.rows * shape.half;
  for (int64_t i = 0; i < count; ++i) {
    left[i] = both[2 * i];
    right[i] = both[2 * i + 1];
  }
}

}  // namespace

void interleaveChannels(const ChannelRows& shape, const void* left, const void* right, void* both) {
  withNumber(shape.bytes, [&](auto number) {
    using T = decltype(number);
    interleave(shape, static_cast<const T*>(left), static_cast<const T*>(right), static_cast<T*>(both));
  });
}

void separateChannels(const ChannelRows& shape, const void* both, void* left, void* right) {
  withNumber(shape.bytes, [&](auto number) {
    using T = decltype(number);
    separate(shape, static_cast<const T*>(both), static_cast<T*>(left), static_cast<T*>(right));
  });
}

void joinChannels(const ChannelRows& shape, const void* left, const void* right, void* both) {
  const int64_t length = shape.half * shape.bytes;
  const char *a = static_cast<const char*>(left), *b = static_cast<const char*>(right);
  char* to = static_cast<char*>(both);
  for (int64_t row = 0; row < shape.rows; ++row, a += length, b += length, to += 2 * length) {
    memcpy(to, a, length);
    memcpy(to + length, b, length);
  }
}

void splitChannels(const ChannelRows& shape, const void* both, void* left, void* right) {
  const int64_t length = shape.half * shape.bytes;
  char *a = static_cast<char*>(left), *b = static_cast<char*>(right);
  const char* from = static_cast<const char*>(both);
  for (int64_t row = 0; row < shape.rows; ++row, a += length, b += length, from += 2 * length) {
    memcpy(a, from, length);
    memcpy(b, from + length, length);
  }
}

}  // namespace cohort
