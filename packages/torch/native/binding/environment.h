// State of one Node environment (the main thread or a worker): tensor handles, the call buffer, interned strings and
// the last error. Nothing here is shared between environments, so no lock is needed.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/stack.h>
#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "binding/streams.h"
#include "kernels/arithmeticFault.h"

namespace cohort {

/// What went wrong, in the words that JavaScript turns into a typed error.
struct Failure {
  /// "argument" (the call itself is wrong), "disposed", "memory", "arithmetic" (no right way) or "torch" (LibTorch refused).
  const char* kind = "torch";
  std::string message;
};

/// Thrown inside the binding for mistakes that are ours to explain; never crosses into JavaScript.
struct ArgumentError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct DisposedError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Owns values behind handles that fit into a JavaScript number: 24 bits of slot and 28 bits of generation, so that a
/// stale handle is noticed instead of reaching another tensor.
template <typename Value>
class HandleTable {
 public:
  double add(Value value) {
    uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<uint32_t>(slots_.size());
      if (slot >= kMaximumSlots) throw ArgumentError("more than 16 million live tensors: release some with scope() or dispose()");
      slots_.push_back({});
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    slots_[slot].value = std::move(value);
    slots_[slot].used = true;
    return static_cast<double>((static_cast<uint64_t>(slots_[slot].generation) << 24) | slot);
  }

  Value& get(double handle) {
    Slot* slot = find(handle);
    if (slot == nullptr) throw DisposedError("this tensor was released");
    return slot->value;
  }

  bool has(double handle) { return find(handle) != nullptr; }

  /// Releases the value; a stale handle is ignored, so that a late finalizer does no harm.
  bool release(double handle) {
    Slot* slot = find(handle);
    if (slot == nullptr) return false;
    slot->used = false;
    slot->generation = (slot->generation + 1) & 0xFFFFFFF;
    Value dying = std::move(slot->value);
    slot->value = Value();
    free_.push_back(static_cast<uint32_t>(slot - slots_.data()));
    return true;
  }

  size_t size() const { return slots_.size() - free_.size(); }

 private:
  static constexpr uint32_t kMaximumSlots = 1u << 24;
  struct Slot {
    Value value;
    uint32_t generation = 1;
    bool used = false;
  };
  Slot* find(double handle) {
    if (!(handle >= 0 && handle < 4503599627370496.0)) return nullptr;
    const auto bits = static_cast<uint64_t>(handle);
    const auto slot = static_cast<uint32_t>(bits & 0xFFFFFF);
    if (slot >= slots_.size() || !slots_[slot].used || slots_[slot].generation != (bits >> 24)) return nullptr;
    return &slots_[slot];
  }
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

/// A tensor and the memory it was counted under, which `set_` and its like may have changed since.
struct TensorEntry {
  at::Tensor tensor;
  c10::StorageImpl* counted = nullptr;
  /// Whether only the garbage collector may release it: V8 is told of such memory, and of no other.
  bool isCollectable = false;
};

/// Memory behind one or more handles. The weak pointer keeps the address from being given to another storage, so that
/// it can serve as a key.
struct CountedStorage {
  c10::weak_intrusive_ptr<c10::StorageImpl> storage;
  int64_t bytes;
  uint32_t handles;
  uint32_t collectable;
};

/// References to ArrayBuffers whose tensors are gone. LibTorch may drop a tensor on any thread, but a reference may only
/// be deleted on its own, which the environment does at its next release or wrap.
struct PendingReferences {
  std::mutex mutex;
  std::atomic<bool> any{false};
  std::vector<napi_ref> references;
};

class PlanRecorder;
struct PlanSet;

class Environment {
 public:
  explicit Environment(napi_env env) : env(env) {}

  napi_env env;
  HandleTable<TensorEntry> tensors;
  HandleTable<at::Generator> generators;
  HandleTable<std::shared_ptr<PlanSet>> plans;
  /// Notes the operators that are called, while there is one (plan.h).
  std::shared_ptr<PlanRecorder> recorder;
  Failure failure;

  /// Arguments and results travel through this JavaScript-owned Float64Array, so that a call crosses the boundary once.
  double* buffer = nullptr;
  size_t bufferLength = 0;
  napi_ref bufferReference = nullptr;

  std::vector<std::string> strings;
  std::unordered_map<std::string, uint32_t> stringIds;

  /// Results that did not fit into the call buffer and wait for a larger one, and the tensors that the call was given.
  torch::jit::Stack waitingResults;
  std::vector<double> waitingArguments;

  /// The device of new tensors for which no device is given.
  c10::Device device{c10::kCPU};
  SideStreams sideStreams;

  /// Whether operators that trust their arguments may be called.
  bool internalOperatorsAllowed = false;

  std::shared_ptr<PendingReferences> pendingReferences = std::make_shared<PendingReferences>();
  void deletePendingReferences();

  /// Puts a tensor behind a new handle and counts its memory, once however many handles share it.
  double addTensor(at::Tensor tensor);
  void releaseTensor(double handle);
  /// Counts the memory of a tensor afresh after it took over another one's.
  void recountTensor(double handle);
  /// From now on no scope releases the tensor.
  void leaveToCollector(double handle);
  at::Tensor& tensor(double handle) { return tensors.get(handle).tensor; }

  uint32_t intern(const std::string& text);

  int64_t externalBytes() const { return externalBytes_; }

  static Environment& of(napi_env env);

 private:
  /// Tells V8 about memory that a collection could free, in steps large enough not to start one at every call. A scope's
  /// memory comes and goes by itself, by gigabytes a second: V8 would mark its heap again and again for nothing.
  void report(int64_t deltaBytes);
  void count(TensorEntry& entry);
  void uncount(TensorEntry& entry);

  std::unordered_map<c10::StorageImpl*, CountedStorage> storages_;
  int64_t externalBytes_ = 0;
  int64_t unreportedBytes_ = 0;
};

/// Runs `body`, turning every C++ exception into the environment's `failure`. Returns whether it succeeded.
template <typename Body>
bool guarded(Environment& environment, Body&& body);

/// Looks at a call's arguments before LibTorch does, and throws for those that would end the process.
using Guard = std::function<void(const c10::FunctionSchema&, const torch::jit::Stack&)>;
Guard guardOf(const std::string& qualified);

/// Computes one of ATen's convolutions by a way that is right, where this machine's own is not; false where it is.
bool leadAround(const std::string& name, const c10::FunctionSchema& schema, torch::jit::Stack& stack);

void registerDispatch(napi_env env, napi_value exports);
void registerTensors(napi_env env, napi_value exports);
void registerAutograd(napi_env env, napi_value exports);
void registerParallelBackward(napi_env env, napi_value exports);
void registerEngine(napi_env env, napi_value exports);
void registerArithmetic(napi_env env, napi_value exports);
void registerDevice(napi_env env, napi_value exports);
void registerPlans(napi_env env, napi_value exports);

/// A tensor of this process's memory on a device; as it is where it lies there.
at::Tensor toDevice(const at::Tensor& tensor, const c10::Device& device);

/// Makes our caching allocator the CPU allocator of this process; the first call wins.
void installAllocator();
/// True when the caching allocator is in use.
bool allocatorInstalled();
struct AllocatorStatistics {
  int64_t usedBytes;
  int64_t reservedBytes;
  int64_t peakUsedBytes;
};
AllocatorStatistics allocatorStatistics();
/// Gives fully free segments back to the system.
void trimAllocator();

inline void exportFunction(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) == napi_ok) {
    napi_set_named_property(env, exports, name, function);
  }
}

/// The arguments of a native call, read with the checks that a wrong JavaScript type deserves.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr);
  }
  double number(size_t index) const {
    double value = 0;
    if (index >= count_ || napi_get_value_double(env_, values_[index], &value) != napi_ok) {
      throw ArgumentError("native call: argument " + std::to_string(index) + " must be a number");
    }
    return value;
  }
  bool boolean(size_t index) const {
    bool value = false;
    if (index >= count_ || napi_get_value_bool(env_, values_[index], &value) != napi_ok) {
      throw ArgumentError("native call: argument " + std::to_string(index) + " must be a boolean");
    }
    return value;
  }
  std::string string(size_t index) const {
    size_t length = 0;
    if (index >= count_ || napi_get_value_string_utf8(env_, values_[index], nullptr, 0, &length) != napi_ok) {
      throw ArgumentError("native call: argument " + std::to_string(index) + " must be a string");
    }
    std::string text(length, '\0');
    napi_get_value_string_utf8(env_, values_[index], &text[0], length + 1, &length);
    return text;
  }
  napi_value value(size_t index) const { return values_[index]; }
  size_t count() const { return count_; }

 private:
  napi_env env_;
  size_t count_ = 8;
  napi_value values_[8] = {};
};

inline napi_value toNumber(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

inline napi_value toString(napi_env env, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

inline napi_value toBoolean(napi_env env, bool flag) {
  napi_value value;
  napi_get_boolean(env, flag, &value);
  return value;
}

template <typename Body>
bool guarded(Environment& environment, Body&& body) {
  try {
    body();
    return true;
  } catch (const ArgumentError& error) {
    environment.failure = {"argument", error.what()};
  } catch (const DisposedError& error) {
    environment.failure = {"disposed", error.what()};
  } catch (const ArithmeticFault& error) {
    environment.failure = {"arithmetic", error.what()};
  } catch (const c10::OutOfMemoryError& error) {
    environment.failure = {"memory", error.what_without_backtrace()};
  } catch (const c10::Error& error) {
    environment.failure = {"torch", error.what_without_backtrace()};
  } catch (const std::bad_alloc&) {
    environment.failure = {"memory", "out of memory"};
  } catch (const std::exception& error) {
    environment.failure = {"torch", error.what()};
  } catch (...) {
    environment.failure = {"torch", "an unknown C++ exception"};
  }
  return false;
}

/// Wraps a body that returns a napi_value: on failure the call returns `undefined` and JavaScript asks `lastError`.
template <typename Body>
napi_value answer(napi_env env, napi_callback_info info, Body&& body) {
  Environment& environment = Environment::of(env);
  napi_value result = nullptr;
  guarded(environment, [&] { result = body(environment, Arguments(env, info)); });
  return result;
}

}  // namespace cohort
