// Splitting channels in two and joining them shuffled (ShuffleNet V2, arXiv 1807.11164, figure 3c) as operators that keep
// maps in channels-last: ATen's stack and flatten give contiguous maps, which every convolution after them would convert.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <tuple>

#include "kernels/channels/channelLoops.h"

namespace cohort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kFormat = at::MemoryFormat::ChannelsLast;
/// Fewer numbers than this are not worth waking a thread for.
constexpr int64_t kNumbersPerThread = 32768;

bool isSuitable(const at::Tensor& tensor) {
  const auto bytes = tensor.element_size();
  return tensor.device().is_cpu() && tensor.layout() == at::kStrided && tensor.has_storage() && tensor.dim() == 4 &&
         !tensor.is_neg() && !tensor.is_conj() && !tensor._is_zerotensor() && (bytes == 2 || bytes == 4 || bytes == 8) &&
         tensor.is_contiguous(kFormat);
}

/// Calls `each(rows, offset of half a map, offset of a whole one)` for parts of the rows, in bytes.
template <typename Each>
void forRows(const at::Tensor& both, const Each& each) {
  const int64_t half = both.size(1) / 2, rows = both.numel() / std::max<int64_t>(1, both.size(1));
  const int bytes = static_cast<int>(both.element_size());
  at::parallel_for(0, rows, std::max<int64_t>(1, kNumbersPerThread / std::max<int64_t>(1, half)),
                   [&](int64_t begin, int64_t end) {
                     each(ChannelRows{end - begin, half, bytes}, begin * half * bytes, 2 * begin * half * bytes);
                   });
}

char* bytesAt(const at::Tensor& tensor, int64_t offset) { return static_cast<char*>(tensor.data_ptr()) + offset; }

/// Two maps in one, [B, C, H, W] each.
at::Tensor joined(const at::Tensor& left, const at::Tensor& right, bool isShuffled) {
  if (isSuitable(left) && isSuitable(right) && left.scalar_type() == right.scalar_type()) {
    const at::Tensor both = at::empty({left.size(0), 2 * left.size(1), left.size(2), left.size(3)},
                                      left.options().requires_grad(false), kFormat);
    forRows(both, [&](const ChannelRows& rows, int64_t half, int64_t whole) {
      (isShuffled ? interleaveChannels : joinChannels)(rows, bytesAt(left, half), bytesAt(right, half), bytesAt(both, whole));
    });
    return both;
  }
  return isShuffled ? at::stack({left, right}, 2).flatten(1, 2) : at::cat({left, right}, 1);
}

/// The inverse.
std::tuple<at::Tensor, at::Tensor> divided(const at::Tensor& both, bool isShuffled) {
  const int64_t half = both.size(1) / 2;
  if (isSuitable(both)) {
    const auto make = [&] {
      return at::empty({both.size(0), half, both.size(2), both.size(3)}, both.options().requires_grad(false), kFormat);
    };
    const at::Tensor left = make(), right = make();
    forRows(both, [&](const ChannelRows& rows, int64_t part, int64_t whole) {
      (isShuffled ? separateChannels : splitChannels)(rows, bytesAt(both, whole), bytesAt(left, part), bytesAt(right, part));
    });
    return {left, right};
  }
  const auto format = both.suggest_memory_format();
  const auto copied = [&](const at::Tensor& part) { return part.clone(format); };
  if (!isShuffled) return {copied(both.narrow(1, 0, half)), copied(both.narrow(1, half, half))};
  const at::Tensor pairs = both.reshape({both.size(0), half, 2, both.size(2), both.size(3)});
  return {copied(pairs.select(2, 0)), copied(pairs.select(2, 1))};
}

class Divide;

/// Each is the other's derivative, so both can be differentiated any number of times.
class Join : public torch::autograd::Function<Join> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& left, const at::Tensor& right, bool isShuffled) {
    context->saved_data["isShuffled"] = isShuffled;
    return joined(left, right, isShuffled);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients);
};

class Divide : public torch::autograd::Function<Divide> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& both, bool isShuffled) {
    context->saved_data["isShuffled"] = isShuffled;
    const auto [left, right] = divided(both, isShuffled);
    return {left, right};
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {Join::apply(gradients[0], gradients[1], context->saved_data["isShuffled"].toBool()), at::Tensor()};
  }
};

variable_list Join::backward(AutogradContext* context, variable_list gradients) {
  const variable_list parts = Divide::apply(gradients[0], context->saved_data["isShuffled"].toBool());
  return {parts[0], parts[1], at::Tensor()};
}

at::Tensor joinShuffled(const at::Tensor& left, const at::Tensor& right) {
  TORCH_CHECK(left.dim() == 4 && left.sizes() == right.sizes(),
              "join_shuffled: expected two maps [B, C, H, W] of one shape, got ", left.sizes(), " and ", right.sizes());
  // What is in different dtypes is promoted as by ATen.
  if (left.scalar_type() != right.scalar_type()) return at::stack({left, right}, 2).flatten(1, 2);
  return Join::apply(left, right, true);
}

std::tuple<at::Tensor, at::Tensor> halves(const at::Tensor& input) {
  TORCH_CHECK(input.dim() == 4 && input.size(1) % 2 == 0,
              "split_channels: expected maps [B, C, H, W] with an even number of channels, got ", input.sizes());
  const variable_list parts = Divide::apply(input, false);
  return {parts[0], parts[1]};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cohort, library) {
  library.def("join_shuffled(Tensor left, Tensor right) -> Tensor", joinShuffled);
  library.def("split_channels(Tensor input) -> (Tensor, Tensor)", halves);
}

}  // namespace cohort
