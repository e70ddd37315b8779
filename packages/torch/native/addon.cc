// The module that Node loads: one Environment per thread of JavaScript, and the functions of the other files.
#include "environment.h"

namespace cohort {

Environment& Environment::of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Environment*>(data);
}

double Environment::addTensor(at::Tensor tensor) {
  TensorEntry entry;
  // A storage that others hold as well is counted by the handle that came first.
  if (tensor.defined() && tensor.has_storage() && tensor.storage().use_count() == 1) {
    entry.reportedBytes = static_cast<int64_t>(tensor.storage().nbytes());
  }
  const int64_t bytes = entry.reportedBytes;
  entry.tensor = std::move(tensor);
  const double handle = tensors.add(std::move(entry));
  account(bytes);
  return handle;
}

void Environment::releaseTensor(double handle) {
  int64_t bytes = 0;
  try {
    bytes = tensors.get(handle).reportedBytes;
  } catch (const DisposedError&) {
    return;
  }
  tensors.release(handle);
  account(-bytes);
}

void Environment::account(int64_t deltaBytes) {
  constexpr int64_t kReportStepBytes = 8 << 20;
  externalBytes_ += deltaBytes;
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

napi_value initialise(napi_env env, napi_value exports) {
  installAllocator();
  auto* environment = new Environment(env);
  napi_set_instance_data(
      env, environment, [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); }, nullptr);
  exportFunction(env, exports, "lastError", lastError);
  registerDispatch(env, exports);
  registerTensors(env, exports);
  registerAutograd(env, exports);
  registerEngine(env, exports);
  return exports;
}

}  // namespace
}  // namespace cohort

NAPI_MODULE(cohort_torch, cohort::initialise)
