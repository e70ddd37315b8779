// The module that Node loads: one Environment per thread of JavaScript, and the functions of the other files.
#include <ATen/Context.h>
#include <c10/util/Logging.h>

#include "binding/distributed.h"
#include "binding/environment.h"

namespace cohort {

Environment& Environment::of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Environment*>(data);
}

double Environment::addTensor(at::Tensor tensor) {
  TensorEntry entry;
  entry.tensor = std::move(tensor);
  count(entry);
  c10::StorageImpl* const counted = entry.counted;
  try {
    return tensors.add(std::move(entry));
  } catch (...) {
    TensorEntry lost;
    lost.counted = counted;
    uncount(lost);
    throw;
  }
}

void Environment::releaseTensor(double handle) {
  if (!tensors.has(handle)) return;
  uncount(tensors.get(handle));
  tensors.release(handle);
  if (pendingReferences->any) deletePendingReferences();
}

void Environment::recountTensor(double handle) {
  TensorEntry& entry = tensors.get(handle);
  uncount(entry);
  count(entry);
}

void Environment::leaveToCollector(double handle) {
  TensorEntry& entry = tensors.get(handle);
  if (entry.isCollectable) return;
  uncount(entry);
  entry.isCollectable = true;
  count(entry);
}

void Environment::count(TensorEntry& entry) {
  if (!entry.tensor.defined() || !entry.tensor.has_storage()) return;
  c10::StorageImpl* const storage = entry.tensor.storage().unsafeGetStorageImpl();
  if (storage == nullptr) return;
  entry.counted = storage;
  auto found = storages_.find(storage);
  if (found == storages_.end()) {
    const auto bytes = static_cast<int64_t>(storage->nbytes());
    found = storages_.emplace(storage, CountedStorage{entry.tensor.storage().getWeakStorageImpl(), bytes, 0, 0}).first;
    externalBytes_ += bytes;
  }
  CountedStorage& counted = found->second;
  counted.handles += 1;
  if (entry.isCollectable && ++counted.collectable == 1) report(counted.bytes);
}

void Environment::uncount(TensorEntry& entry) {
  if (entry.counted == nullptr) return;
  auto found = storages_.find(entry.counted);
  entry.counted = nullptr;
  if (found == storages_.end()) return;
  CountedStorage& counted = found->second;
  if (entry.isCollectable && --counted.collectable == 0) report(-counted.bytes);
  if (--counted.handles > 0) return;
  externalBytes_ -= counted.bytes;
  storages_.erase(found);
}

void Environment::deletePendingReferences() {
  std::lock_guard<std::mutex> lock(pendingReferences->mutex);
  for (napi_ref reference : pendingReferences->references) napi_delete_reference(env, reference);
  pendingReferences->references.clear();
  pendingReferences->any = false;
}

void Environment::report(int64_t deltaBytes) {
  constexpr int64_t kReportStepBytes = 8 << 20;
  unreportedBytes_ += deltaBytes;
  if (unreportedBytes_ >= kReportStepBytes || unreportedBytes_ <= -kReportStepBytes) {
    int64_t total = 0;
    napi_adjust_external_memory(env, unreportedBytes_, &total);
    unreportedBytes_ = 0;
  }
}

uint32_t Environment::intern(const std::string& text) {
  auto found = stringIds.find(text);
  if (found != stringIds.end()) return found->second;
  const auto id = static_cast<uint32_t>(strings.size());
  strings.push_back(text);
  stringIds.emplace(text, id);
  return id;
}

namespace {

napi_value lastError(napi_env env, napi_callback_info) {
  Environment& environment = Environment::of(env);
  napi_value result;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "kind", toString(env, environment.failure.kind));
  napi_set_named_property(env, result, "message", toString(env, environment.failure.message));
  return result;
}

/// An error carries a stack trace that nobody is shown, and that takes milliseconds to put into words.
void dropStackTraces() {
  c10::SetStackTraceFetcher([]() -> std::string { return {}; });
}

napi_value initialise(napi_env env, napi_value exports) {
  static std::once_flag once;
  std::call_once(once, dropStackTraces);
  installAllocator();
#if COHORT_TORCH_VERSION >= 20000
  // Since 2.0 LibTorch trusts the indices of sparse tensors unless it is asked to look: a wrong one reads past the memory.
  at::globalContext().setCheckSparseTensorInvariants(true);
#endif
  auto* environment = new Environment(env);
  napi_set_instance_data(
      env, environment, [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); }, nullptr);
  exportFunction(env, exports, "lastError", lastError);
  registerDispatch(env, exports);
  registerTensors(env, exports);
  registerAutograd(env, exports);
  registerParallelBackward(env, exports);
  registerEngine(env, exports);
  registerArithmetic(env, exports);
  registerDevice(env, exports);
  registerPlans(env, exports);
  registerDistributed(env, exports);
  return exports;
}

}  // namespace
}  // namespace cohort

NAPI_MODULE(cohort_torch, cohort::initialise)
