// The engine as a whole: random generators, threads, versions and memory.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <cstring>

#include "kernels/batchNorm/batchNormKernels.h"
#include "binding/environment.h"
#include "kernels/convolution/winograd/winogradKernels.h"

namespace cohort {
namespace {

napi_value newGenerator(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    auto generator = at::detail::createCPUGenerator(static_cast<uint64_t>(arguments.number(0)));
    return toNumber(env, environment.generators.add(std::move(generator)));
  });
}

napi_value releaseGenerator(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    return toBoolean(env, environment.generators.release(arguments.number(0)));
  });
}

at::Generator& lockedGenerator(Environment& environment, const Arguments& arguments) {
  return environment.generators.get(arguments.number(0));
}

napi_value generatorState(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    at::Generator& generator = lockedGenerator(environment, arguments);
    std::lock_guard<std::mutex> lock(generator.mutex());
    return toNumber(env, environment.addTensor(generator.get_state().clone()));
  });
}

napi_value setGeneratorState(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    at::Generator& generator = lockedGenerator(environment, arguments);
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(environment.tensor(arguments.number(1)));
    return toBoolean(env, true);
  });
}

napi_value seedDefaultGenerator(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    at::manual_seed(static_cast<uint64_t>(arguments.number(0)));
    return toBoolean(env, true);
  });
}

napi_value threads(napi_env env, napi_callback_info) { return toNumber(env, at::get_num_threads()); }

napi_value setThreads(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    at::set_num_threads(static_cast<int>(arguments.number(0)));
    return toBoolean(env, true);
  });
}

napi_value setDeterministic(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    at::globalContext().setDeterministicAlgorithms(arguments.boolean(0), /*warn_only=*/true);
    return toBoolean(env, true);
  });
}

napi_value engineInfo(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments&) {
    napi_value result;
    napi_create_object(env, &result);
    const auto set = [&](const char* name, napi_value value) { napi_set_named_property(env, result, name, value); };
    // Debian's header says 1.13.0 for 1.13.1: the number that the build found is the one to show.
    set("version", toString(env, std::to_string(COHORT_TORCH_VERSION / 10000) + "." +
                                     std::to_string(COHORT_TORCH_VERSION / 100 % 100) + "." +
                                     std::to_string(COHORT_TORCH_VERSION % 100)));
    set("config", toString(env, at::show_config()));
    set("parallel", toString(env, at::get_parallel_info()));
    // Whether it was built with CUDA; whether there is a card is another question (cudaDevices).
    set("cuda", toBoolean(env, at::hasCUDA() || at::Context::hasCUDART()));
    set("onednn", toBoolean(env, at::hasMKLDNN()));
    set("cachingAllocator", toBoolean(env, allocatorInstalled()));
    set("kernels", toString(env, kernelChoice()));
    set("convolution", toString(env, winogradKernels() == nullptr ? "direct" : "winograd"));
    set("kernelThreads", toBoolean(env, kernelsUseThreads()));
    return result;
  });
}

napi_value memory(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments&) {
    const AllocatorStatistics statistics = allocatorStatistics();
    napi_value result;
    napi_create_object(env, &result);
    const auto set = [&](const char* name, int64_t value) {
      napi_set_named_property(env, result, name, toNumber(env, static_cast<double>(value)));
    };
    set("usedBytes", statistics.usedBytes);
    set("reservedBytes", statistics.reservedBytes);
    set("peakUsedBytes", statistics.peakUsedBytes);
    set("externalBytes", environment.externalBytes());
    return result;
  });
}

napi_value trimMemory(napi_env env, napi_callback_info) {
  trimAllocator();
  return toBoolean(env, true);
}

}  // namespace

void registerEngine(napi_env env, napi_value exports) {
  exportFunction(env, exports, "newGenerator", newGenerator);
  exportFunction(env, exports, "releaseGenerator", releaseGenerator);
  exportFunction(env, exports, "generatorState", generatorState);
  exportFunction(env, exports, "setGeneratorState", setGeneratorState);
  exportFunction(env, exports, "seedDefaultGenerator", seedDefaultGenerator);
  exportFunction(env, exports, "threads", threads);
  exportFunction(env, exports, "setThreads", setThreads);
  exportFunction(env, exports, "setDeterministic", setDeterministic);
  exportFunction(env, exports, "engineInfo", engineInfo);
  exportFunction(env, exports, "memory", memory);
  exportFunction(env, exports, "trimMemory", trimMemory);
}

}  // namespace cohort
