// Checks that LibTorch leaves out of public operators: each of these mistakes reads or writes past a tensor's memory,
// divides where the processor cannot, or loops for ever: the process would be gone without a word. Found by random and by wilful calls
// (src/crash.test.ts) on LibTorch 1.13 with guard pages behind every tensor.
#include <ATen/ATen.h>
#include <ATen/core/function_schema.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "binding/environment.h"

namespace cohort {
namespace {

using Stack = torch::jit::Stack;

/// The arguments of one call, by their names in the schema.
class Named {
 public:
  Named(const c10::FunctionSchema& schema, const Stack& stack) : schema_(schema), stack_(stack) {}

  bool has(const char* name) const { return schema_.argumentIndexWithName(name).has_value(); }

  /// Null when the overload has no such argument, or it was left out.
  const c10::IValue* find(const char* name) const {
    const auto index = schema_.argumentIndexWithName(name);
    if (!index.has_value()) return nullptr;
    const c10::IValue& value = stack_[static_cast<size_t>(*index)];
    return value.isNone() ? nullptr : &value;
  }
  /// A tensor whose elements can be looked at, else undefined.
  at::Tensor tensor(const char* name) const {
    const c10::IValue* value = find(name);
    if (value == nullptr || !value->isTensor()) return {};
    const at::Tensor& tensor = value->toTensor();
    return tensor.defined() && tensor.device().is_cpu() && tensor.layout() == at::kStrided ? tensor : at::Tensor();
  }
  /// The whole numbers of a list or of a tensor; empty for anything else.
  std::vector<int64_t> integers(const char* name) const {
    const c10::IValue* value = find(name);
    if (value == nullptr) return {};
    if (value->isIntList()) return value->toIntVector();
    const at::Tensor given = tensor(name);
    if (!given.defined() || !at::isIntegralType(given.scalar_type(), false)) return {};
    const at::Tensor flat = given.to(at::kLong).contiguous();
    const auto* data = flat.data_ptr<int64_t>();
    return {data, data + flat.numel()};
  }

 private:
  const c10::FunctionSchema& schema_;
  const Stack& stack_;
};

[[noreturn]] void refuse(const std::string& argument, const std::string& expected, const std::string& received) {
  throw ArgumentError("argument '" + argument + "' must " + expected + ", got " + received);
}

void requireRange(const std::string& argument, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  refuse(argument, "lie between " + std::to_string(least) + " and " + std::to_string(most), std::to_string(value));
}

/// The processor has no answer for the smallest integer divided by -1.
void integerDivision(const Named& arguments) {
  const auto operand = [&](const char* name) -> at::Tensor {
    const c10::IValue* value = arguments.find(name);
    if (value != nullptr && value->isInt()) return at::scalar_tensor(value->toInt(), at::kLong);
    return arguments.tensor(name);
  };
  const at::Tensor dividend = operand("self");
  const at::Tensor divisor = operand("other");
  if (!dividend.defined() || !divisor.defined()) return;
  const auto isWide = [](const at::Tensor& x) { return at::isIntegralType(x.scalar_type(), true); };
  if (!isWide(dividend) || !isWide(divisor)) return;
  const c10::IValue* self = arguments.find("self");
  const c10::IValue* other = arguments.find("other");
  const at::ScalarType type = self->isTensor() && other->isTensor() ? at::result_type(dividend, divisor)
                              : self->isTensor()                    ? dividend.scalar_type()
                                                                    : divisor.scalar_type();
  if (type != at::kInt && type != at::kLong) return;
  if (!divisor.eq(-1).any().item<bool>()) return;
  const int64_t smallest = type == at::kInt ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int64_t>::min();
  if (dividend.eq(smallest).logical_and(divisor.eq(-1)).any().item<bool>()) {
    throw ArgumentError("the smallest integer cannot be divided by -1: the result does not fit. Use a wider dtype");
  }
}

/// True division is done in floating point.
void roundedDivision(const Named& arguments) {
  if (arguments.find("rounding_mode") != nullptr) integerDivision(arguments);
}

/// A label past the classes is read from beyond the log-probabilities.
void ctcLoss(const Named& arguments) {
  const at::Tensor logProbabilities = arguments.tensor("log_probs");
  const at::Tensor targets = arguments.tensor("targets");
  if (!logProbabilities.defined() || !targets.defined() || logProbabilities.dim() == 0) return;
  const int64_t classes = logProbabilities.size(-1);
  const auto labels = arguments.integers("targets");
  const auto lengths = arguments.integers("target_lengths");
  const bool isPadded = targets.dim() == 2;
  const int64_t width = isPadded ? targets.size(1) : 0;
  int64_t begin = 0;
  for (size_t sample = 0; sample < lengths.size(); ++sample) {
    if (isPadded) begin = static_cast<int64_t>(sample) * width;
    const int64_t length = isPadded ? std::min(lengths[sample], width) : lengths[sample];
    for (int64_t i = begin; i < begin + length && i < static_cast<int64_t>(labels.size()); ++i) {
      requireRange("targets", labels[static_cast<size_t>(i)], 0, classes - 1);
    }
    begin += std::max<int64_t>(length, 0);
  }
}

/// LAPACK follows the pivots wherever they lead.
void ldlSolve(const Named& arguments) {
  const at::Tensor factors = arguments.tensor("LD");
  if (!factors.defined() || factors.dim() == 0) return;
  for (const int64_t pivot : arguments.integers("pivots")) {
    requireRange("pivots", pivot < 0 ? -pivot : pivot, 1, factors.size(-1));
  }
}

void histogram(const Named& arguments) {
  const c10::IValue* bins = arguments.find("bins");
  if (bins != nullptr && bins->isIntList() && bins->toIntVector().empty()) {
    refuse("bins", "name a number of bins for every dimension", "an empty list");
  }
}

void searchSorted(const Named& arguments) {
  const at::Tensor sequence = arguments.tensor("sorted_sequence");
  if (!sequence.defined() || sequence.dim() == 0) return;
  for (const int64_t index : arguments.integers("sorter")) requireRange("sorter", index, 0, sequence.size(-1) - 1);
}

void segmentReduce(const Named& arguments) {
  const c10::IValue* isUnsafe = arguments.find("unsafe");
  if (isUnsafe != nullptr && isUnsafe->isBool() && isUnsafe->toBool()) {
    refuse("unsafe", "be false, so that the lengths are checked", "true");
  }
}

/// The square of the factor must not wrap around to zero.
void pixelShuffle(const Named& arguments) {
  for (const char* name : {"upscale_factor", "downscale_factor"}) {
    const c10::IValue* factor = arguments.find(name);
    if (factor != nullptr && factor->isInt()) requireRange(name, factor->toInt(), 1, 65535);
  }
}

/// LibTorch adds up the reach of a strided view without looking for an overflow.
void stridedView(const Named& arguments) {
  const auto sizes = arguments.integers("size");
  const auto strides = arguments.integers("stride");
  const c10::IValue* offset = arguments.find("storage_offset");
  double reach = offset != nullptr && offset->isInt() ? static_cast<double>(offset->toInt()) : 0;
  for (size_t i = 0; i < std::min(sizes.size(), strides.size()); ++i) {
    reach += static_cast<double>(sizes[i]) * static_cast<double>(strides[i]);
  }
  constexpr double kMostElements = 140737488355328.0;
  if (!(reach <= kMostElements)) refuse("size", "reach no further than the memory", "a view past every memory");
}

void repeatInterleave(const Named& arguments) {
  double total = 0;
  for (const int64_t count : arguments.integers("repeats")) {
    if (count < 0) refuse("repeats", "not be negative", std::to_string(count));
    total += static_cast<double>(count);
  }
  if (total > 140737488355328.0) refuse("repeats", "add up to what memory can hold", std::to_string(total));
  const c10::IValue* size = arguments.find("output_size");
  const c10::IValue* repeats = arguments.find("repeats");
  if (size == nullptr || !size->isInt() || repeats == nullptr) return;
  const c10::IValue* self = arguments.find("self");
  // One number of repeats stands for all elements.
  if (repeats->isInt()) total = static_cast<double>(repeats->toInt());
  if (self != nullptr && (repeats->isInt() || arguments.integers("repeats").size() == 1)) {
    const c10::IValue* dim = arguments.find("dim");
    const at::Tensor& tensor = self->toTensor();
    if (dim == nullptr) {
      total *= static_cast<double>(tensor.numel());
    } else {
      if (tensor.dim() == 0) return;
      total *= static_cast<double>(tensor.size(dim->toInt()));
    }
  }
  if (total != static_cast<double>(size->toInt())) {
    refuse("output_size", "be the sum of the repeats", std::to_string(size->toInt()));
  }
}

/// Cells cut the gates into equal parts and use every one, whether it is there or not.
void requireGates(const std::string& name, const at::Tensor& weight, int64_t gates) {
  if (weight.dim() > 0 && weight.size(0) > 0 && weight.size(0) % gates == 0) return;
  refuse(name, "have a first dimension that is a multiple of " + std::to_string(gates),
         weight.dim() > 0 ? std::to_string(weight.size(0)) : "no dimensions");
}

template <int64_t gates>
void recurrentCell(const Named& arguments) {
  for (const char* name : {"w_ih", "w_hh", "b_ih", "b_hh"}) {
    const at::Tensor weight = arguments.tensor(name);
    if (weight.defined()) requireGates(name, weight, gates);
  }
  for (const char* name : {"input", "w_ih", "w_hh"}) {
    const at::Tensor tensor = arguments.tensor(name);
    if (tensor.defined() && tensor.dim() != 2) refuse(name, "have two dimensions", std::to_string(tensor.dim()));
  }
}

/// The other tensor's memory may be too short for another dtype, offset or shape.
void setSource(const Named& arguments) {
  stridedView(arguments);
  const at::Tensor self = arguments.tensor("self");
  const at::Tensor source = arguments.tensor("source");
  if (!self.defined() || !source.defined()) return;
  if (self.scalar_type() != source.scalar_type()) {
    refuse("source", std::string("have the dtype of self, ") + c10::toString(self.scalar_type()), c10::toString(source.scalar_type()));
  }
  const c10::IValue* offset = arguments.find("storage_offset");
  if (offset == nullptr || !offset->isInt()) return;
  const auto sizes = arguments.integers("size");
  const auto strides = arguments.integers("stride");
  if (!strides.empty() && strides.size() != sizes.size()) refuse("stride", "have the length of size", std::to_string(strides.size()));
  int64_t last = offset->toInt();
  int64_t contiguous = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    const int64_t stride = strides.empty() ? contiguous : strides[i];
    if (sizes[i] < 0 || stride < 0) refuse("size", "not be negative", std::to_string(std::min(sizes[i], stride)));
    last += std::max<int64_t>(sizes[i] - 1, 0) * stride;
    contiguous *= std::max<int64_t>(sizes[i], 1);
  }
  const auto elements = static_cast<int64_t>(source.storage().nbytes() / source.element_size());
  requireRange("storage_offset", last, 0, std::max<int64_t>(elements - 1, 0));
}

/// One spacing for every dimension, which LibTorch does not count.
void gradient(const Named& arguments) {
  const at::Tensor self = arguments.tensor("self");
  const c10::IValue* spacing = arguments.find("spacing");
  if (!self.defined() || spacing == nullptr || !spacing->isList()) return;
  const auto dims = arguments.integers("dim");
  const size_t wanted = arguments.find("dim") == nullptr ? static_cast<size_t>(self.dim()) : dims.size();
  const size_t given = spacing->toListRef().size();
  if (given != wanted) refuse("spacing", "have one entry a dimension, " + std::to_string(wanted), std::to_string(given));
}

/// LAPACK searches for the singular values of an infinite matrix for ever.
void finiteMatrix(const Named& arguments) {
  if (arguments.has("ord")) {
    // Of the norms, the spectral and the nuclear one are made of singular values.
    const c10::IValue* order = arguments.find("ord");
    if (order == nullptr) return;
    if (order->isString() ? order->toStringRef() != "nuc" : std::abs(order->toScalar().toDouble()) != 2) return;
  }
  for (const char* name : {"A", "self", "input"}) {
    const at::Tensor matrix = arguments.tensor(name);
    if (!matrix.defined() || matrix.dim() < 2 || matrix.isfinite().all().item<bool>()) continue;
    refuse(name, "be finite", "a matrix with NaN or infinite elements");
  }
}

void requireDimensions(const Named& arguments, const char* name, int64_t least, int64_t most) {
  const at::Tensor tensor = arguments.tensor(name);
  if (!tensor.defined() || (tensor.dim() >= least && tensor.dim() <= most)) return;
  refuse(name, least == most ? "have " + std::to_string(least) + " dimensions" : "have one or two dimensions",
         std::to_string(tensor.dim()));
}

void embeddingBag(const Named& arguments) {
  requireDimensions(arguments, "weight", 2, 2);
  requireDimensions(arguments, "indices", 1, 2);
  requireDimensions(arguments, "offsets", 1, 1);
}

/// The backward pass does not expect to find no distances at all.
void pairwiseDistance(const Named& arguments) {
  const at::Tensor self = arguments.tensor("self");
  if (self.defined() && self.numel() == 0 && self.requires_grad()) refuse("self", "have rows to differentiate", "none");
}

/// Batches are written where they would lie in contiguous memory.
void triangle(const Named& arguments) {
  const at::Tensor out = arguments.tensor("out");
  if (out.defined() && !out.is_contiguous()) refuse("out", "be contiguous", "a tensor with other strides");
}

void luUnpack(const Named& arguments) {
  const at::Tensor factors = arguments.tensor("LU_data");
  const at::Tensor pivots = arguments.tensor("LU_pivots");
  if (!factors.defined() || !pivots.defined() || factors.dim() < 2) return;
  auto expected = factors.sizes().vec();
  expected.pop_back();
  expected.back() = std::min(factors.size(-1), factors.size(-2));
  if (!pivots.sizes().equals(expected)) {
    refuse("LU_pivots", "have one pivot a row of every matrix", std::to_string(pivots.numel()) + " in another shape");
  }
  for (const int64_t pivot : arguments.integers("LU_pivots")) requireRange("LU_pivots", pivot, 1, factors.size(-2));
}

/// Recurrent networks trust the gates of their weights, and over packed sequences the batch sizes.
template <int64_t gates>
void recurrentNetwork(const Named& arguments) {
  const c10::IValue* weights = arguments.find("params");
  const c10::IValue* hasBiases = arguments.find("has_biases");
  if (weights != nullptr && weights->isTensorList() && hasBiases != nullptr) {
    const auto list = weights->toTensorVector();
    const size_t each = hasBiases->toBool() ? 4 : 2;
    const bool hasProjections = list.size() % each != 0;
    for (size_t i = 0; i < list.size(); ++i) {
      // The projection of an LSTM has no gates; it comes last in its layer.
      if (!hasProjections || i % (each + 1) != each) requireGates("params", list[i], gates);
    }
  }
  const c10::IValue* given = arguments.find("batch_sizes");
  if (given == nullptr) return;
  const at::Tensor data = arguments.tensor("data");
  const at::Tensor sizes = arguments.tensor("batch_sizes");
  if (!sizes.defined() || sizes.dim() != 1 || sizes.scalar_type() != at::kLong || sizes.numel() == 0) {
    refuse("batch_sizes", "be a list of int64 sizes, at least one", "something else");
  }
  int64_t total = 0;
  int64_t before = std::numeric_limits<int64_t>::max();
  for (const int64_t size : arguments.integers("batch_sizes")) {
    if (size < 1 || size > before) refuse("batch_sizes", "be positive and never rise", std::to_string(size));
    before = size;
    total += size;
  }
  if (data.defined() && (data.dim() != 2 || data.size(0) != total)) {
    refuse("batch_sizes", "add up to the rows of data", std::to_string(total));
  }
}

}  // namespace

/// The check of an operator, or null for the many that look after themselves.
Guard guardOf(const std::string& qualified) {
  using Check = void (*)(const Named&);
  static const std::unordered_map<std::string, Check> checks = {
      {"aten::div", roundedDivision},
      {"aten::div_", roundedDivision},
      {"aten::divide", roundedDivision},
      {"aten::divide_", roundedDivision},
      {"aten::floor_divide", integerDivision},
      {"aten::floor_divide_", integerDivision},
      {"aten::remainder", integerDivision},
      {"aten::remainder_", integerDivision},
      {"aten::fmod", integerDivision},
      {"aten::fmod_", integerDivision},
      {"aten::ctc_loss", ctcLoss},
      {"aten::linalg_ldl_solve", ldlSolve},
      {"aten::histogramdd", histogram},
      {"aten::searchsorted", searchSorted},
      {"aten::segment_reduce", segmentReduce},
      {"aten::pixel_shuffle", pixelShuffle},
      {"aten::pixel_unshuffle", pixelShuffle},
      {"aten::gradient", gradient},
      {"aten::set", setSource},
      {"aten::set_", setSource},
      {"aten::embedding_bag", embeddingBag},
      {"aten::pdist", pairwiseDistance},
      {"aten::tril", triangle},
      {"aten::triu", triangle},
      {"aten::lu_unpack", luUnpack},
      {"aten::svd", finiteMatrix},
      {"aten::linalg_svd", finiteMatrix},
      {"aten::linalg_svdvals", finiteMatrix},
      {"aten::linalg_pinv", finiteMatrix},
      {"aten::pinverse", finiteMatrix},
      {"aten::linalg_matrix_rank", finiteMatrix},
      {"aten::matrix_rank", finiteMatrix},
      {"aten::linalg_cond", finiteMatrix},
      {"aten::linalg_lstsq", finiteMatrix},
      {"aten::linalg_norm", finiteMatrix},
      {"aten::linalg_matrix_norm", finiteMatrix},
      {"aten::nuclear_norm", finiteMatrix},
      {"aten::as_strided", stridedView},
      {"aten::as_strided_", stridedView},
      {"aten::as_strided_copy", stridedView},
      {"aten::as_strided_scatter", stridedView},
      {"aten::repeat_interleave", repeatInterleave},
      {"aten::lstm", recurrentNetwork<4>},
      {"aten::gru", recurrentNetwork<3>},
      {"aten::rnn_tanh", recurrentNetwork<1>},
      {"aten::rnn_relu", recurrentNetwork<1>},
      {"aten::lstm_cell", recurrentCell<4>},
      {"aten::gru_cell", recurrentCell<3>},
      {"aten::rnn_tanh_cell", recurrentCell<1>},
      {"aten::rnn_relu_cell", recurrentCell<1>},
  };
  const auto found = checks.find(qualified);
  if (found == checks.end()) return nullptr;
  const Check check = found->second;
  return [check](const c10::FunctionSchema& schema, const Stack& stack) {
    at::NoGradGuard noGrad;
    check(Named(schema, stack));
  };
}

}  // namespace cohort
