// Moves channels about in rows of maps (channels-last), where ATen's operators for it would leave the memory format.
#pragma once

#include <stdint.h>

namespace cohort {

/// Rows of `half` numbers of 2, 4 or 8 bytes each in `left` and `right`, and twice as many in `both`.
struct ChannelRows {
  int64_t rows;
  int64_t half;
  int bytes;
};

/// both = left_0, right_0, left_1, right_1, ...
void interleaveChannels(const ChannelRows&, const void* left, const void* right, void* both);
/// The inverse.
void separateChannels(const ChannelRows&, const void* both, void* left, void* right);
/// both = left, right.
void joinChannels(const ChannelRows&, const void* left, const void* right, void* both);
/// The inverse.
void splitChannels(const ChannelRows&, const void* both, void* left, void* right);

}  // namespace cohort
