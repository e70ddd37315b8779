// Checks that LibTorch leaves out of public operators: each of these mistakes reads or writes past a tensor's memory, or
// divides where the processor cannot, and would end the process without a word. Found by random and by wilful calls
// (src/fuzz.test.ts, src/mistakes.test.ts) on LibTorch 1.13 with guard pages behind every tensor.
#include <ATen/ATen.h>
#include <ATen/core/function_schema.h>

#include <limits>

#include "environment.h"

namespace cohort {
namespace {

using Stack = torch::jit::Stack;

/// The arguments of one call, by their names in the schema.
class Named {
 public:
  Named(const c10::FunctionSchema& schema, const Stack& stack) : schema_(schema), stack_(stack) {}

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

[[noreturn]] void refuse(const std::string& argument, const std::string& expected, const std::string& came) {
  throw ArgumentError("argument '" + argument + "' must " + expected + ", got " + came);
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

/// The memory of another dtype may be too short.
void setSource(const Named& arguments) {
  const at::Tensor self = arguments.tensor("self");
  const at::Tensor source = arguments.tensor("source");
  if (!self.defined() || !source.defined() || self.scalar_type() == source.scalar_type()) return;
  refuse("source", std::string("have the dtype of self, ") + c10::toString(self.scalar_type()), c10::toString(source.scalar_type()));
}

/// Recurrent networks over packed sequences trust the batch sizes.
void packedSequence(const Named& arguments) {
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
      {"aten::set", setSource},
      {"aten::set_", setSource},
      {"aten::lstm", packedSequence},
      {"aten::gru", packedSequence},
      {"aten::rnn_tanh", packedSequence},
      {"aten::rnn_relu", packedSequence},
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
