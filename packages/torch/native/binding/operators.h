// Every operator that LibTorch has registered, with its overloads, found by name.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/function_schema.h>

#include <algorithm>
#include <map>

#include "binding/environment.h"

namespace cohort {

struct Overload {
  c10::OperatorHandle handle;
  const c10::FunctionSchema* schema;
  size_t positionalCount;
  bool isOut;
  /// Whether it makes a tensor from none, on a device that may be named.
  bool makesTensor;
};

struct Operator {
  std::string name;
  std::vector<Overload> overloads;
  bool isInternal;
  Guard guard;
  bool isConvolution;
};

/// Whether LibTorch keeps an operator for itself. It marks most with a leading underscore; their callers inside LibTorch
/// have checked the arguments, so they check nothing: a wrong shape reads past the memory or divides by zero, and the
/// process is gone. Random calls (src/crash.test.ts) ended the process in some fifty of these.
inline bool isInternalName(const std::string& qualified) {
  const std::string name = qualified.substr(qualified.find("::") + 2);
  const auto startsWith = [&](const char* prefix) { return name.rfind(prefix, 0) == 0; };
  // Operators of our own check their arguments.
  if (qualified.rfind("cohort::", 0) == 0) return startsWith("_");
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
      bool isOut = false, hasDevice = false, takesTensor = false;
      for (const auto& argument : schema.arguments()) {
        if (!argument.kwarg_only()) ++positional;
        if (argument.is_out()) isOut = true;
        if (argument.name() == "device") hasDevice = true;
        if (argument.type()->str().find("Tensor") != std::string::npos) takesTensor = true;
      }
      byName[name.name].push_back({*handle, &schema, positional, isOut, hasDevice && !takesTensor});
    }
    for (auto& [name, overloads] : byName) {
      std::sort(overloads.begin(), overloads.end(), [](const Overload& left, const Overload& right) {
        if (left.isOut != right.isOut) return right.isOut;
        return left.schema->overload_name() < right.schema->overload_name();
      });
      ids_.emplace(name, static_cast<int>(operators_.size()));
      operators_.push_back({name, std::move(overloads), isInternalName(name), guardOf(name),
                            name == "aten::conv2d" || name == "aten::convolution"});
    }
  }
  std::vector<Operator> operators_;
  std::unordered_map<std::string, int> ids_;
};

}  // namespace cohort
