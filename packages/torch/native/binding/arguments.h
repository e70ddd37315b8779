// Matches the arguments of a call against an operator's schemas and converts them for the overload that fits best.
#pragma once

#include <ATen/core/jit_type.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include "binding/callBuffer.h"
#include "binding/operators.h"

namespace cohort {

inline const std::unordered_map<std::string, at::ScalarType>& scalarTypes() {
  static const std::unordered_map<std::string, at::ScalarType> names = {
      {"uint8", at::kByte},       {"int8", at::kChar},         {"int16", at::kShort},         {"int32", at::kInt},
      {"int64", at::kLong},       {"float16", at::kHalf},      {"float32", at::kFloat},       {"float64", at::kDouble},
      {"bool", at::kBool},        {"bfloat16", at::kBFloat16}, {"complex64", at::kComplexFloat}, {"complex128", at::kComplexDouble},
  };
  return names;
}

inline const std::unordered_map<std::string, at::MemoryFormat>& memoryFormats() {
  static const std::unordered_map<std::string, at::MemoryFormat> names = {
      {"contiguous", at::MemoryFormat::Contiguous},
      {"preserve", at::MemoryFormat::Preserve},
      {"channelsLast", at::MemoryFormat::ChannelsLast},
      {"channelsLast3d", at::MemoryFormat::ChannelsLast3d},
  };
  return names;
}

inline const std::unordered_map<std::string, at::Layout>& layouts() {
  static const std::unordered_map<std::string, at::Layout> names = {
      {"strided", at::kStrided}, {"sparse", at::kSparse}, {"mkldnn", at::kMkldnn}};
  return names;
}

inline bool isDeviceName(const std::string& text) {
  static const char* const names[] = {"cpu", "cuda", "mps", "meta", "xpu"};
  const std::string kind = text.substr(0, text.find(':'));
  return std::any_of(std::begin(names), std::end(names), [&](const char* name) { return kind == name; });
}

/// Cost of a list of the wrong length: any overload that takes the list as it is comes first.
constexpr int kWrongLength = 100;

class Call {
 public:
  Call(Environment& environment, Reader reader) : environment_(environment), reader_(reader) {}

  void readArguments() {
    const auto positional = static_cast<size_t>(reader_.next());
    const auto keywords = static_cast<size_t>(reader_.next());
    positional_.reserve(positional);
    for (size_t i = 0; i < positional; ++i) positional_.push_back(reader_.value());
    for (size_t i = 0; i < keywords; ++i) {
      const auto name = static_cast<size_t>(reader_.next());
      keywords_.emplace_back(name, reader_.value());
    }
  }

  /// Picks the overload that takes these arguments with the least conversion.
  const Overload& resolve(const Operator& op) const {
    const Overload* best = nullptr;
    int bestCost = std::numeric_limits<int>::max();
    for (const Overload& overload : op.overloads) {
      const int cost = costOf(overload);
      if (cost >= 0 && cost < bestCost) {
        best = &overload;
        bestCost = cost;
      }
    }
    if (best == nullptr) throw ArgumentError(describeMismatch(op));
    return *best;
  }

  torch::jit::Stack stackFor(const Overload& overload) const {
    const auto& arguments = overload.schema->arguments();
    torch::jit::Stack stack;
    stack.reserve(arguments.size());
    for (size_t i = 0; i < arguments.size(); ++i) {
      const Value* value = valueFor(arguments[i], i);
      if (value == nullptr && overload.makesTensor && !environment_.device.is_cpu() && arguments[i].name() == "device") {
        stack.push_back(environment_.device);
      } else if (value == nullptr) {
        stack.push_back(*arguments[i].default_value());
      } else {
        stack.push_back(convert(*value, *arguments[i].real_type(), arguments[i]));
      }
    }
    return stack;
  }

  /// Handles of the tensors that were passed outside of lists, to recognise operators that give one back.
  std::vector<double> tensorHandles() const {
    std::vector<double> handles;
    for (const Value& value : positional_) {
      if (value.tag == kTensor) handles.push_back(value.number());
    }
    for (const auto& keyword : keywords_) {
      if (keyword.second.tag == kTensor) handles.push_back(keyword.second.number());
    }
    return handles;
  }

 private:
  const std::string& text(const Value& value) const { return environment_.strings.at(static_cast<size_t>(value.number())); }

  const Value* valueFor(const c10::Argument& argument, size_t index) const {
    const Value* value = nullptr;
    if (!argument.kwarg_only() && index < positional_.size()) {
      value = &positional_[index];
    } else {
      for (const auto& keyword : keywords_) {
        if (environment_.strings[keyword.first] == argument.name()) value = &keyword.second;
      }
    }
    return value != nullptr && value->tag == kDefault ? nullptr : value;
  }

  int costOf(const Overload& overload) const {
    if (positional_.size() > overload.positionalCount) return -1;
    const auto& arguments = overload.schema->arguments();
    size_t matchedKeywords = 0;
    for (const auto& keyword : keywords_) {
      for (size_t i = 0; i < arguments.size(); ++i) {
        const bool taken = !arguments[i].kwarg_only() && i < positional_.size();
        if (!taken && environment_.strings[keyword.first] == arguments[i].name()) ++matchedKeywords;
      }
    }
    if (matchedKeywords != keywords_.size()) return -1;
    int cost = 0;
    for (size_t i = 0; i < arguments.size(); ++i) {
      const Value* value = valueFor(arguments[i], i);
      if (value == nullptr) {
        if (!arguments[i].default_value().has_value()) return -1;
        continue;
      }
      const int step = fit(*value, *arguments[i].real_type(), arguments[i]);
      if (step < 0) return -1;
      cost += step;
    }
    return cost;
  }

  /// The cost of passing `value` where the schema wants `type`; negative when it cannot be.
  int fit(const Value& value, const c10::Type& type, const c10::Argument& argument) const {
    using Kind = c10::TypeKind;
    switch (type.kind()) {
      case Kind::TensorType:
        return value.tag == kTensor ? 0 : -1;
      case Kind::OptionalType:
        if (value.tag == kNone) return 0;
        return fit(value, *type.castRaw<c10::OptionalType>()->getElementType(), argument);
      case Kind::ListType: {
        const auto& element = *type.castRaw<c10::ListType>()->getElementType();
        if (value.tag != kList) {
          const bool isNumber = value.tag == kInteger || value.tag == kBigInteger || value.tag == kDouble;
          const int cost = isNumber ? fit(value, element, argument) : -1;
          return cost < 0 ? -1 : cost + 1;
        }
        int cost = lengthProblem(value, element, argument).empty() ? 0 : kWrongLength;
        for (const Value& item : reader_.elements(value)) {
          const int step = fit(item, element, argument);
          if (step < 0) return -1;
          cost = std::max(cost, step);
        }
        return cost;
      }
      case Kind::IntType:
      case Kind::SymIntType:
        return value.tag == kInteger || value.tag == kBigInteger ? 0 : -1;
      case Kind::FloatType:
        return value.tag == kDouble ? 0 : value.tag == kInteger ? 1 : -1;
      case Kind::NumberType:
        return value.tag == kInteger || value.tag == kBigInteger || value.tag == kDouble ? 0 : value.tag == kBoolean ? 1 : -1;
      case Kind::BoolType:
        return value.tag == kBoolean ? 0 : -1;
      case Kind::StringType:
        return value.tag == kString ? 1 : -1;
      case Kind::GeneratorType:
        return value.tag == kGenerator ? 0 : -1;
      case Kind::DeviceObjType:
        return value.tag == kString && isDeviceName(text(value)) ? 0 : -1;
      case Kind::ScalarTypeType:
        return value.tag == kString && scalarTypes().count(text(value)) != 0 ? 0 : -1;
      case Kind::MemoryFormatType:
        return value.tag == kString && memoryFormats().count(text(value)) != 0 ? 0 : -1;
      case Kind::LayoutType:
        return value.tag == kString && layouts().count(text(value)) != 0 ? 0 : -1;
      default:
        return -1;
    }
  }

  /// What is wrong with the length of a list, or nothing. Many kernels read `int[2]` without looking at its length, and
  /// the first tensor of a list without looking whether there is one: such calls would end the process.
  static std::string lengthProblem(const Value& value, const c10::Type& element, const c10::Argument& argument) {
    const size_t length = value.length();
    if (element.kind() == c10::TypeKind::TensorType) {
      return length > 0 ? "" : "argument '" + argument.name() + "' needs at least one tensor, got an empty list";
    }
    const auto wanted = static_cast<size_t>(argument.N().value_or(1));
    if (wanted < 2 || length == wanted || length == 1) return "";
    const auto fallback = argument.default_value();
    if (length == 0 && fallback.has_value() && fallback->isList() && fallback->toListRef().empty()) return "";
    return "argument '" + argument.name() + "' takes " + std::to_string(wanted) + " values, or one for all, got " +
           std::to_string(length);
  }

  c10::IValue convert(const Value& value, const c10::Type& type, const c10::Argument& argument) const {
    using Kind = c10::TypeKind;
    switch (type.kind()) {
      case Kind::TensorType:
        return environment_.tensor(value.number());
      case Kind::OptionalType:
        if (value.tag == kNone) return {};
        return convert(value, *type.castRaw<c10::OptionalType>()->getElementType(), argument);
      case Kind::ListType:
        return convertList(value, *type.castRaw<c10::ListType>()->getElementType(), argument);
      case Kind::IntType:
      case Kind::SymIntType:
        return size(value, argument);
      case Kind::FloatType:
        return value.number();
      case Kind::NumberType:
        if (value.tag == kDouble) return value.number();
        if (value.tag == kBoolean) return value.number() != 0;
        return integer(value);
      case Kind::BoolType:
        return value.number() != 0;
      case Kind::StringType:
        return text(value);
      case Kind::GeneratorType:
        return environment_.generators.get(value.number());
      case Kind::DeviceObjType:
        return c10::Device(text(value));
      case Kind::ScalarTypeType:
        return scalarTypes().at(text(value));
      case Kind::MemoryFormatType:
        return memoryFormats().at(text(value));
      case Kind::LayoutType:
        return layouts().at(text(value));
      default:
        throw ArgumentError("argument '" + argument.name() + "' has the type " + type.str() + ", which this binding does not pass");
    }
  }

  /// Whole numbers are sizes, strides, offsets and counts, which LibTorch multiplies without looking for an overflow.
  static int64_t size(const Value& value, const c10::Argument& argument) {
    constexpr int64_t kMostElements = int64_t{1} << 47;
    const int64_t number = integer(value);
    if (number <= kMostElements && number >= -kMostElements) return number;
    static const char* const bounds[] = {"from", "to", "low", "high", "start", "end", "ignore_index"};
    const bool isBound = std::any_of(std::begin(bounds), std::end(bounds), [&](const char* name) { return argument.name() == name; });
    if (isBound) return number;
    throw ArgumentError("argument '" + argument.name() + "' is " + std::to_string(number) + ", more than any memory holds");
  }

  c10::IValue convertList(const Value& value, const c10::Type& element, const c10::Argument& argument) const {
    using Kind = c10::TypeKind;
    const auto wanted = static_cast<size_t>(argument.N().value_or(1));
    std::vector<Value> items;
    if (value.tag == kList) {
      const std::string problem = lengthProblem(value, element, argument);
      if (!problem.empty()) throw ArgumentError(problem);
      items = reader_.elements(value);
      if (items.size() == 1 && wanted > 1) items.assign(wanted, Value(items[0]));
    } else {
      items.assign(wanted, value);
    }
    switch (element.kind()) {
      case Kind::TensorType: {
        c10::List<at::Tensor> list;
        list.reserve(items.size());
        for (const Value& item : items) list.push_back(environment_.tensor(item.number()));
        return list;
      }
      case Kind::OptionalType: {
        if (element.castRaw<c10::OptionalType>()->getElementType()->kind() != Kind::TensorType) break;
        c10::List<c10::optional<at::Tensor>> list;
        for (const Value& item : items) {
          if (item.tag == kNone) {
            list.push_back(c10::optional<at::Tensor>());
          } else {
            list.push_back(environment_.tensor(item.number()));
          }
        }
        return list;
      }
      case Kind::IntType:
      case Kind::SymIntType: {
        std::vector<int64_t> list;
        list.reserve(items.size());
        for (const Value& item : items) list.push_back(size(item, argument));
        return list;
      }
      case Kind::FloatType: {
        std::vector<double> list;
        for (const Value& item : items) list.push_back(item.number());
        return list;
      }
      case Kind::BoolType: {
        c10::List<bool> list;
        for (const Value& item : items) list.push_back(item.number() != 0);
        return list;
      }
      case Kind::NumberType: {
        c10::List<at::Scalar> list;
        for (const Value& item : items) {
          list.push_back(item.tag == kDouble ? at::Scalar(item.number()) : at::Scalar(integer(item)));
        }
        return list;
      }
      default:
        break;
    }
    throw ArgumentError("argument '" + argument.name() + "' is a list of " + element.str() + ", which this binding does not pass");
  }

  std::string describe(const Value& value) const {
    switch (value.tag) {
      case kNone:
        return "null";
      case kDefault:
        return "undefined";
      case kInteger:
      case kDouble: {
        std::ostringstream out;
        out << value.number();
        return out.str();
      }
      case kBigInteger:
        return std::to_string(integer(value)) + "n";
      case kBoolean:
        return value.number() != 0 ? "true" : "false";
      case kTensor: {
        const at::Tensor& tensor = environment_.tensor(value.number());
        std::ostringstream out;
        out << "Tensor" << tensor.sizes();
        return out.str();
      }
      case kString:
        return "'" + text(value) + "'";
      case kGenerator:
        return "Generator";
      case kList: {
        std::string out = "[";
        const auto items = reader_.elements(value);
        for (size_t i = 0; i < items.size() && i < 8; ++i) out += (i == 0 ? "" : ", ") + describe(items[i]);
        return out + (items.size() > 8 ? ", ...]" : "]");
      }
      default:
        return "?";
    }
  }

  std::string describeMismatch(const Operator& op) const {
    std::string message = "no overload takes (";
    for (size_t i = 0; i < positional_.size(); ++i) message += (i == 0 ? "" : ", ") + describe(positional_[i]);
    for (const auto& keyword : keywords_) {
      message += (message.back() == '(' ? "" : ", ") + environment_.strings[keyword.first] + ": " + describe(keyword.second);
    }
    message += "). It can be called as:";
    for (const Overload& overload : op.overloads) {
      if (overload.isOut && op.overloads.size() > 1) continue;
      std::ostringstream out;
      out << *overload.schema;
      message += "\n  " + out.str();
    }
    return message;
  }

  Environment& environment_;
  Reader reader_;
  std::vector<Value> positional_;
  std::vector<std::pair<size_t, Value>> keywords_;
};

}  // namespace cohort
