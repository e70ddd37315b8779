// Where tensors are made: the device of an environment, what graphics cards there are, and how cuDNN is to compute.
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/detail/CUDAHooksInterface.h>
#if COHORT_TORCH_VERSION >= 20900
#include <c10/core/CachingDeviceAllocator.h>
#endif

#include "binding/environment.h"

namespace cohort {

at::Tensor toDevice(const at::Tensor& tensor, const c10::Device& device) {
  if (device == tensor.device()) return tensor;
  // Pinned memory is copied while the processor continues; the allocator keeps it until the copy is done.
  if (device.is_cuda()) return tensor.pin_memory().to(device, /*non_blocking=*/true);
  return tensor.to(device);
}

namespace {

napi_value setDevice(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    c10::Device device(arguments.string(0));
    if (device.is_cuda() && !device.has_index()) device = c10::Device(c10::kCUDA, 0);
    environment.device = device;
    return toBoolean(env, true);
  });
}

/// cudaDevices(): how many LibTorch sees; 0 where it was built without CUDA.
napi_value cudaDevices(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments&) {
    return toNumber(env, at::hasCUDA() ? at::detail::getCUDAHooks().getNumGPUs() : 0);
  });
}

/// Versions of CUDA and cuDNN that LibTorch was built with, as it prints them; empty without CUDA.
napi_value cudaConfig(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments&) {
    return toString(env, at::hasCUDA() ? at::detail::getCUDAHooks().showConfig() : std::string());
  });
}

/// configureCuda(deterministic, tf32)
napi_value configureCuda(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    auto& context = at::globalContext();
    context.setDeterministicCuDNN(arguments.boolean(0));
    context.setBenchmarkCuDNN(!arguments.boolean(0));
    context.setAllowTF32CuDNN(arguments.boolean(1));
    context.setAllowTF32CuBLAS(arguments.boolean(1));
    return toBoolean(env, true);
  });
}

/// deviceMemory(): bytes used, reserved and most used on the environment's device; -1 where LibTorch does not tell.
napi_value deviceMemory(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments&) {
    int64_t used = -1, reserved = -1, peak = -1;
#if COHORT_TORCH_VERSION >= 20900
    if (environment.device.is_cuda()) {
      const auto statistics = at::getDeviceAllocator(c10::kCUDA)->getDeviceStats(environment.device.index());
      used = statistics.allocated_bytes[0].current;
      reserved = statistics.reserved_bytes[0].current;
      peak = statistics.allocated_bytes[0].peak;
    }
#else
    (void)environment;
#endif
    napi_value result;
    napi_create_object(env, &result);
    napi_set_named_property(env, result, "usedBytes", toNumber(env, static_cast<double>(used)));
    napi_set_named_property(env, result, "reservedBytes", toNumber(env, static_cast<double>(reserved)));
    napi_set_named_property(env, result, "peakUsedBytes", toNumber(env, static_cast<double>(peak)));
    return result;
  });
}

napi_value synchronize(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments&) {
    if (environment.device.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(environment.device.index());
    return toBoolean(env, true);
  });
}

/// forkStreams(): false where the environment's device has no streams.
napi_value forkStreams(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments&) {
    const bool hasStreams = environment.device.is_cuda();
    if (hasStreams) environment.sideStreams.fork(environment.device);
    return toBoolean(env, hasStreams);
  });
}

/// useSideStream(index)
napi_value useSideStream(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    environment.sideStreams.use(static_cast<size_t>(arguments.number(0)));
    return toBoolean(env, true);
  });
}

/// joinStreams(): buffer in [tensors that side streams made].
napi_value joinStreams(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments&) {
    std::vector<at::Tensor> results(static_cast<size_t>(environment.buffer[0]));
    for (size_t index = 0; index < results.size(); ++index) {
      results[index] = environment.tensor(environment.buffer[index + 1]);
    }
    environment.sideStreams.join(results);
    return toBoolean(env, true);
  });
}

}  // namespace

void registerDevice(napi_env env, napi_value exports) {
  exportFunction(env, exports, "setDevice", setDevice);
  exportFunction(env, exports, "cudaDevices", cudaDevices);
  exportFunction(env, exports, "cudaConfig", cudaConfig);
  exportFunction(env, exports, "configureCuda", configureCuda);
  exportFunction(env, exports, "deviceMemory", deviceMemory);
  exportFunction(env, exports, "synchronize", synchronize);
  exportFunction(env, exports, "forkStreams", forkStreams);
  exportFunction(env, exports, "useSideStream", useSideStream);
  exportFunction(env, exports, "joinStreams", joinStreams);
}

}  // namespace cohort
