// Calls any operator that LibTorch has registered: arguments are matched against the operator's schemas and the best
// overload is called boxed, autograd included. This one file stands for the 3,000 bindings that are not written.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/jit_type.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <sstream>

#include "environment.h"

namespace cohort {
namespace {

/// How a value is written into the call buffer; the same numbers stand in src/callBuffer.ts.
enum Tag : int {
  kNone = 0,
  kInteger = 1,
  kDouble = 2,
  kBoolean = 3,
  kTensor = 4,
  kList = 5,
  kString = 6,
  kGenerator = 7,
  kBigInteger = 8,
  kDefault = 9,
  /// A result that is one of the tensors the call was given (`add_`, `out=`): its handle is theirs.
  kArgument = 10,
};

struct Overload {
  c10::OperatorHandle handle;
  const c10::FunctionSchema* schema;
  size_t positionalCount;
  bool isOut;
};

struct Operator {
  std::string name;
  std::vector<Overload> overloads;
  bool isInternal;
  Guard guard;
};

/// Whether LibTorch keeps an operator for itself. It marks most with a leading underscore; their callers inside LibTorch
/// have checked the arguments, so they check nothing: a wrong shape reads past the memory or divides by zero, and the
/// process is gone. Random calls (src/fuzz.test.ts) ended the process in some fifty of these.
bool isInternalName(const std::string& qualified) {
  const std::string name = qualified.substr(qualified.find("::") + 2);
  const auto startsWith = [&](const char* prefix) { return name.rfind(prefix, 0) == 0; };
  if (startsWith("_")) return !startsWith("__") && !startsWith("_foreach_");
  if (name.find("_backward") != std::string::npos) return true;
  // Kernels behind a public operator of nearly the same name, with as little checking and no underscore.
  static const char* const prefixes[] = {"native_",   "slow_",   "thnn_",   "mkldnn_", "fbgemm_",
                                         "quantized_", "cudnn_", "miopen_", "batch_norm_"};
  static const char* const names[] = {"rrelu_with_noise", "rrelu_with_noise_", "choose_qparams_optimized"};
  return std::any_of(std::begin(prefixes), std::end(prefixes), startsWith) ||
         std::any_of(std::begin(names), std::end(names), [&](const char* other) { return name == other; });
}

/// Every registered operator by qualified name; built once a process, read-only afterwards.
class OperatorIndex {
 public:
  static OperatorIndex& instance() {
    static OperatorIndex index;
    return index;
  }

  int find(const std::string& name) const {
    auto found = ids_.find(name);
    return found == ids_.end() ? -1 : found->second;
  }
  const std::vector<Operator>& all() const { return operators_; }
  const Operator& at(size_t id) const {
    if (id >= operators_.size()) throw ArgumentError("native call: there is no operator " + std::to_string(id));
    return operators_[id];
  }

 private:
  OperatorIndex() {
    std::map<std::string, std::vector<Overload>> byName;
    for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
      auto handle = c10::Dispatcher::singleton().findSchema(name);
      if (!handle.has_value()) continue;
      const auto& schema = handle->schema();
      size_t positional = 0;
      bool isOut = false;
      for (const auto& argument : schema.arguments()) {
        if (!argument.kwarg_only()) ++positional;
        if (argument.is_out()) isOut = true;
      }
      byName[name.name].push_back({*handle, &schema, positional, isOut});
    }
    for (auto& [name, overloads] : byName) {
      std::sort(overloads.begin(), overloads.end(), [](const Overload& left, const Overload& right) {
        if (left.isOut != right.isOut) return right.isOut;
        return left.schema->overload_name() < right.schema->overload_name();
      });
      ids_.emplace(name, static_cast<int>(operators_.size()));
      operators_.push_back({name, std::move(overloads), isInternalName(name), guardOf(name)});
    }
  }
  std::vector<Operator> operators_;
  std::unordered_map<std::string, int> ids_;
};

const std::unordered_map<std::string, at::ScalarType>& scalarTypes() {
  static const std::unordered_map<std::string, at::ScalarType> names = {
      {"uint8", at::kByte},       {"int8", at::kChar},         {"int16", at::kShort},         {"int32", at::kInt},
      {"int64", at::kLong},       {"float16", at::kHalf},      {"float32", at::kFloat},       {"float64", at::kDouble},
      {"bool", at::kBool},        {"bfloat16", at::kBFloat16}, {"complex64", at::kComplexFloat}, {"complex128", at::kComplexDouble},
  };
  return names;
}

const std::unordered_map<std::string, at::MemoryFormat>& memoryFormats() {
  static const std::unordered_map<std::string, at::MemoryFormat> names = {
      {"contiguous", at::MemoryFormat::Contiguous},
      {"preserve", at::MemoryFormat::Preserve},
      {"channelsLast", at::MemoryFormat::ChannelsLast},
      {"channelsLast3d", at::MemoryFormat::ChannelsLast3d},
  };
  return names;
}

const std::unordered_map<std::string, at::Layout>& layouts() {
  static const std::unordered_map<std::string, at::Layout> names = {
      {"strided", at::kStrided}, {"sparse", at::kSparse}, {"mkldnn", at::kMkldnn}};
  return names;
}

bool isDeviceName(const std::string& text) {
  static const char* const names[] = {"cpu", "cuda", "mps", "meta", "xpu"};
  const std::string kind = text.substr(0, text.find(':'));
  return std::any_of(std::begin(names), std::end(names), [&](const char* name) { return kind == name; });
}

/// A value in the call buffer; lists point at their first element.
struct Value {
  int tag = kDefault;
  const double* payload = nullptr;
  double number() const { return payload[0]; }
  size_t length() const { return static_cast<size_t>(payload[0]); }
};

class Reader {
 public:
  Reader(const double* position, const double* end) : position_(position), end_(end) {}
  double next() {
    if (position_ >= end_) throw ArgumentError("native call: the call buffer ends too early");
    return *position_++;
  }
  Value value() {
    Value value;
    value.tag = static_cast<int>(next());
    value.payload = position_;
    switch (value.tag) {
      case kNone:
      case kDefault:
        break;
      case kBigInteger:
        next();
        next();
        break;
      case kList: {
        const auto count = static_cast<size_t>(next());
        for (size_t i = 0; i < count; ++i) this->value();
        break;
      }
      default:
        next();
    }
    return value;
  }
  std::vector<Value> elements(const Value& list) const {
    Reader reader(list.payload + 1, end_);
    std::vector<Value> values;
    values.reserve(list.length());
    for (size_t i = 0; i < list.length(); ++i) values.push_back(reader.value());
    return values;
  }

 private:
  const double* position_;
  const double* end_;
};

int64_t integer(const Value& value) {
  if (value.tag == kBigInteger) {
    return static_cast<int64_t>((static_cast<uint64_t>(static_cast<uint32_t>(static_cast<int64_t>(value.payload[0]))) << 32) |
                                static_cast<uint64_t>(value.payload[1]));
  }
  return static_cast<int64_t>(value.number());
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
      if (value == nullptr) {
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

/// Writes results back into the call buffer, in the same form as arguments.
class Writer {
 public:
  Writer(Environment& environment, const std::vector<double>& arguments) : environment_(environment), arguments_(arguments) {}

  /// How many numbers `value` takes in the buffer. Throws for kinds that are not passed, before any handle is made.
  static size_t measure(const c10::IValue& value) {
    if (value.isTensor() || value.isNone() || value.isBool() || value.isDouble() || value.isString()) return 2;
    if (value.isInt()) return 3;
    if (value.isTensorList()) return 2 + 2 * value.toTensorList().size();
    if (value.isIntList()) return 2 + 3 * value.toIntList().size();
    if (value.isList()) {
      size_t total = 2;
      for (const c10::IValue& item : value.toListRef()) total += measure(item);
      return total;
    }
    throw ArgumentError("the operator returned a " + value.tagKind() + ", which this binding does not pass");
  }

  void write(const c10::IValue& value) {
    if (value.isTensor()) {
      tensor(value.toTensor());
    } else if (value.isNone()) {
      put(kNone);
    } else if (value.isBool()) {
      put(kBoolean);
      put(value.toBool() ? 1 : 0);
    } else if (value.isInt()) {
      number(value.toInt());
    } else if (value.isDouble()) {
      put(kDouble);
      put(value.toDouble());
    } else if (value.isTensorList()) {
      const auto list = value.toTensorVector();
      put(kList);
      put(static_cast<double>(list.size()));
      for (const auto& item : list) tensor(item);
    } else if (value.isIntList()) {
      const auto list = value.toIntVector();
      put(kList);
      put(static_cast<double>(list.size()));
      for (const auto item : list) number(item);
    } else if (value.isList()) {
      const auto list = value.toListRef();
      put(kList);
      put(static_cast<double>(list.size()));
      for (const auto& item : list) write(item);
    } else {
      put(kString);
      put(environment_.intern(value.toStringRef()));
    }
  }

 private:
  void tensor(const at::Tensor& result) {
    if (!result.defined()) {
      put(kNone);
      return;
    }
    for (const double handle : arguments_) {
      if (environment_.tensor(handle).unsafeGetTensorImpl() != result.unsafeGetTensorImpl()) continue;
      put(kArgument);
      put(handle);
      return;
    }
    put(kTensor);
    put(environment_.addTensor(result));
  }
  void number(int64_t value) {
    if (value >= -9007199254740991 && value <= 9007199254740991) {
      put(kInteger);
      put(static_cast<double>(value));
    } else {
      put(kBigInteger);
      put(static_cast<double>(value >> 32));
      put(static_cast<double>(value & 0xFFFFFFFF));
    }
  }
  void put(double value) { environment_.buffer[position_++] = value; }

  Environment& environment_;
  const std::vector<double>& arguments_;
  size_t position_ = 0;
};

/// Writes the results, or keeps them for `takeResults` and returns minus the length that the buffer needs.
double giveResults(Environment& environment, torch::jit::Stack stack, std::vector<double> arguments) {
  size_t needed = 2;
  for (const auto& value : stack) needed += Writer::measure(value);
  if (needed > environment.bufferLength) {
    environment.waitingResults = std::move(stack);
    environment.waitingArguments = std::move(arguments);
    return -static_cast<double>(needed);
  }
  Writer writer(environment, arguments);
  for (const auto& value : stack) writer.write(value);
  return static_cast<double>(stack.size());
}

/// call(): buffer in [operator, positional count, keyword count, values...], buffer out [values...]. Returns the number
/// of results, -1 when `lastError` has something to say, or minus the length that the buffer must have for `takeResults`.
napi_value call(napi_env env, napi_callback_info) {
  Environment& environment = Environment::of(env);
  double results = -1;
  guarded(environment, [&] {
    if (environment.buffer == nullptr) throw ArgumentError("native call: setBuffer was not called");
    Reader reader(environment.buffer, environment.buffer + environment.bufferLength);
    const Operator& op = OperatorIndex::instance().at(static_cast<size_t>(reader.next()));
    if (op.isInternal && !environment.internalOperatorsAllowed) {
      throw ArgumentError(
          "this operator is internal to LibTorch and does not check its arguments: a wrong one ends the process. Use the "
          "public operator behind which it stands, or call allowInternalOperators() first");
    }
    Call call(environment, reader);
    call.readArguments();
    const Overload& overload = call.resolve(op);
    torch::jit::Stack stack = call.stackFor(overload);
    if (op.guard) op.guard(*overload.schema, stack);
    overload.handle.callBoxed(&stack);
    results = giveResults(environment, std::move(stack), call.tensorHandles());
  });
  return toNumber(env, results);
}

/// takeResults(): the results of a call that had to wait for a larger buffer.
napi_value takeResults(napi_env env, napi_callback_info) {
  Environment& environment = Environment::of(env);
  double results = -1;
  guarded(environment, [&] {
    torch::jit::Stack stack = std::move(environment.waitingResults);
    environment.waitingResults.clear();
    results = giveResults(environment, std::move(stack), std::move(environment.waitingArguments));
  });
  return toNumber(env, results);
}

napi_value allowInternalOperators(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    environment.internalOperatorsAllowed = arguments.boolean(0);
    return toBoolean(env, true);
  });
}

napi_value setBuffer(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) -> napi_value {
    napi_typedarray_type type;
    void* data = nullptr;
    size_t length = 0;
    if (napi_get_typedarray_info(env, arguments.value(0), &type, &length, &data, nullptr, nullptr) != napi_ok ||
        type != napi_float64_array) {
      throw ArgumentError("native call: the call buffer must be a Float64Array");
    }
    if (environment.bufferReference != nullptr) napi_delete_reference(env, environment.bufferReference);
    napi_create_reference(env, arguments.value(0), 1, &environment.bufferReference);
    environment.buffer = static_cast<double*>(data);
    environment.bufferLength = length;
    return toBoolean(env, true);
  });
}

napi_value intern(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    return toNumber(env, environment.intern(arguments.string(0)));
  });
}

napi_value internedString(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    return toString(env, environment.strings.at(static_cast<size_t>(arguments.number(0))));
  });
}

napi_value findOperator(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    return toNumber(env, OperatorIndex::instance().find(arguments.string(0)));
  });
}

/// One line an operator: its name, a tab, and whether some overload takes `self` first ("m") or not ("f").
napi_value listOperators(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments&) {
    std::string text;
    for (const Operator& op : OperatorIndex::instance().all()) {
      const bool isMethod = std::any_of(op.overloads.begin(), op.overloads.end(), [](const Overload& overload) {
        const auto& arguments = overload.schema->arguments();
        return !arguments.empty() && arguments[0].name() == "self" && arguments[0].type()->kind() == c10::TypeKind::TensorType;
      });
      text += op.name + (isMethod ? "\tm\n" : "\tf\n");
    }
    return toString(env, text);
  });
}

/// Every schema, one a line, in LibTorch's own notation; types are the real ones (ScalarType, not int).
napi_value listSchemas(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments&) {
    std::ostringstream out;
    for (const Operator& op : OperatorIndex::instance().all()) {
      for (const Overload& overload : op.overloads) {
        out << *overload.schema << "\t";
        for (const auto& argument : overload.schema->arguments()) {
          out << argument.name() << "\x1f" << argument.real_type()->str() << "\x1f" << (argument.kwarg_only() ? "k" : "p")
              << "\x1f" << (argument.default_value().has_value() ? "d" : "r") << "\x1f" << (argument.N().has_value() ? "n" : "-")
              << "\x1e";
        }
        out << "\t";
        for (const auto& result : overload.schema->returns()) out << result.type()->str() << "\x1e";
        out << "\n";
      }
    }
    return toString(env, out.str());
  });
}

}  // namespace

void registerDispatch(napi_env env, napi_value exports) {
  exportFunction(env, exports, "call", call);
  exportFunction(env, exports, "takeResults", takeResults);
  exportFunction(env, exports, "allowInternalOperators", allowInternalOperators);
  exportFunction(env, exports, "setBuffer", setBuffer);
  exportFunction(env, exports, "intern", intern);
  exportFunction(env, exports, "internedString", internedString);
  exportFunction(env, exports, "findOperator", findOperator);
  exportFunction(env, exports, "listOperators", listOperators);
  exportFunction(env, exports, "listSchemas", listSchemas);
}

}  // namespace cohort
