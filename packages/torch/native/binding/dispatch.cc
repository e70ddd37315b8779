// Calls any operator that LibTorch has registered: arguments are matched against the operator's schemas and the best
// overload is called boxed, autograd included. These few files stand for the 3,000 bindings that are not written.
#include <sstream>

#include "binding/arguments.h"
#include "binding/plan.h"

namespace cohort {
namespace {

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

/// Whether a generator of the processor is given: ours all are, so that a run draws the same numbers on every device.
bool drawsOnProcessor(const torch::jit::Stack& stack) {
  return std::any_of(stack.begin(), stack.end(), [](const c10::IValue& value) {
    return value.isGenerator() && value.toGenerator().defined() && value.toGenerator().device().is_cpu();
  });
}

/// Draws in this process's memory and takes the numbers to where the tensor is, or is to be.
void drawElsewhere(const Overload& overload, const c10::Device& device, torch::jit::Stack& stack) {
  at::Tensor target;
  for (c10::IValue& value : stack) {
    if (value.isDevice()) value = c10::Device(c10::kCPU);
    if (!value.isTensor() || !value.toTensor().defined() || value.toTensor().device().is_cpu()) continue;
    const at::Tensor given = value.toTensor();
    if (!target.defined()) target = given;
    // A tensor without memory has no numbers to begin with.
    value = given.is_meta() ? at::empty(given.sizes(), given.options().device(at::kCPU)) : given.detach().cpu();
  }
  const bool isInPlace = overload.schema->name().back() == '_';
  overload.handle.callBoxed(&stack);
  for (c10::IValue& value : stack) {
    if (!value.isTensor()) continue;
    if (isInPlace && target.defined()) {
      target.copy_(value.toTensor());
      value = target;
    } else {
      value = toDevice(value.toTensor(), target.defined() ? target.device() : device);
    }
  }
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
    PlanRecorder* const recorder = environment.recorder.get();
    const torch::jit::Stack given = recorder == nullptr ? torch::jit::Stack() : stack;
    if (op.isConvolution && leadAround(op.name, *overload.schema, stack)) {
      if (recorder != nullptr) recorder->refuse();
      results = giveResults(environment, std::move(stack), call.tensorHandles());
      return;
    }
    if (!environment.device.is_cpu() && drawsOnProcessor(stack)) {
      drawElsewhere(overload, environment.device, stack);
    } else {
      overload.handle.callBoxed(&stack);
    }
    if (recorder != nullptr) recorder->add(op, overload, given, stack);
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

/// One line per operator: its name, a tab, and whether some overload takes `self` first ("m") or not ("f").
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

/// Every schema, one per line, in LibTorch's own notation; types are the real ones (ScalarType, not int).
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
