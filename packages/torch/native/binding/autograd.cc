// Differentiation: backward, grad of chosen inputs, gradients of leaves, and the modes that switch it off.
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include "kernels/convolution/convolution.h"
#include "binding/environment.h"

namespace cohort {
namespace {

/// The call buffer carries lists as [count, handles...]; a handle of -1 stands for "none".
class HandleLists {
 public:
  explicit HandleLists(Environment& environment) : environment_(environment) {}
  std::vector<at::Tensor> next() {
    std::vector<at::Tensor> list(static_cast<size_t>(environment_.buffer[position_++]));
    for (auto& tensor : list) {
      const double handle = environment_.buffer[position_++];
      if (handle >= 0) tensor = environment_.tensor(handle);
    }
    return list;
  }

 private:
  Environment& environment_;
  size_t position_ = 0;
};

/// backward(retainGraph, createGraph): buffer in [outputs], [their gradients], [inputs or none].
napi_value backward(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    HandleLists lists(environment);
    const auto outputs = lists.next();
    const auto gradients = lists.next();
    const auto inputs = lists.next();
    torch::autograd::backward(outputs, gradients, arguments.boolean(0), arguments.boolean(1), inputs);
    return toBoolean(env, true);
  });
}

/// grad(retainGraph, createGraph, allowUnused): as backward, but the gradients of `inputs` come back in the buffer.
napi_value grad(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    HandleLists lists(environment);
    const auto outputs = lists.next();
    const auto gradients = lists.next();
    const auto inputs = lists.next();
    const auto results = torch::autograd::grad(
        outputs, inputs, gradients, arguments.boolean(0), arguments.boolean(1), arguments.boolean(2));
    for (size_t i = 0; i < results.size(); ++i) {
      environment.buffer[i] = results[i].defined() ? environment.addTensor(results[i]) : -1;
    }
    return toNumber(env, static_cast<double>(results.size()));
  });
}

/// gradOfGrad(): buffer in [outputs], [parameters], [a vector each], [inputs]; back come the gradients by `inputs` of the sum
/// of products of the vectors with the outputs' gradients by the parameters, -1 where there is none.
napi_value gradOfGrad(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments&) {
    HandleLists lists(environment);
    const auto outputs = lists.next();
    const auto parameters = lists.next();
    const auto vectors = lists.next();
    const auto inputs = lists.next();
    if (vectors.size() != parameters.size()) throw ArgumentError("expected a vector for every parameter");
    std::vector<at::Tensor> first, outer, second(inputs.size());
    {
      const WithoutWeightGradientValues guard;
      first = torch::autograd::grad(outputs, parameters, {}, /*retain_graph=*/true, /*create_graph=*/true,
                                    /*allow_unused=*/true);
    }
    // A gradient that is missing or constant depends on nothing.
    size_t count = 0;
    for (size_t i = 0; i < first.size(); ++i) {
      if (!first[i].defined() || !first[i].requires_grad()) continue;
      outer.push_back(vectors[i]);
      first[count++] = first[i];
    }
    first.resize(count);
    if (count > 0) {
      second = torch::autograd::grad(first, inputs, outer, /*retain_graph=*/false, /*create_graph=*/false,
                                     /*allow_unused=*/true);
    }
    for (size_t i = 0; i < second.size(); ++i) {
      environment.buffer[i] = second[i].defined() ? environment.addTensor(second[i]) : -1;
    }
    return toNumber(env, static_cast<double>(second.size()));
  });
}

napi_value setRequiresGrad(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const at::Tensor& tensor = environment.tensor(arguments.number(0));
    if (!tensor.is_leaf()) throw ArgumentError("this tensor was computed, only leaf tensors can be switched; use detach()");
    tensor.set_requires_grad(arguments.boolean(1));
    return toBoolean(env, true);
  });
}

napi_value gradientOf(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const at::Tensor& tensor = environment.tensor(arguments.number(0));
    if (!tensor.is_leaf()) throw ArgumentError("only leaf tensors keep a gradient; use grad(output, [tensor]) for others");
    const at::Tensor& gradient = tensor.grad();
    return toNumber(env, gradient.defined() ? environment.addTensor(gradient) : -1);
  });
}

napi_value setGradient(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    at::Tensor& tensor = environment.tensor(arguments.number(0));
    const double gradient = arguments.number(1);
    if (gradient < 0) {
      tensor.mutable_grad() = at::Tensor();
    } else {
      const at::Tensor& value = environment.tensor(gradient);
      if (!value.sizes().equals(tensor.sizes())) throw ArgumentError("a gradient must have the shape of its tensor");
      if (value.scalar_type() != tensor.scalar_type()) throw ArgumentError("a gradient must have the dtype of its tensor");
      tensor.mutable_grad() = value;
    }
    return toBoolean(env, true);
  });
}

/// setData(handle, source): the tensor takes over the memory of `source`, its place in the graph and its identity kept.
napi_value setData(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    environment.tensor(arguments.number(0)).set_data(environment.tensor(arguments.number(1)));
    environment.recountTensor(arguments.number(0));
    return toBoolean(env, true);
  });
}

napi_value gradMode(napi_env env, napi_callback_info) { return toBoolean(env, at::GradMode::is_enabled()); }

napi_value setGradMode(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    at::GradMode::set_enabled(arguments.boolean(0));
    return toBoolean(env, true);
  });
}

/// setAutocast(enabled): bfloat16 for the operators on LibTorch's own list; returns whether it was on before.
napi_value setAutocast(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    const bool enabled = arguments.boolean(0);
#if COHORT_TORCH_VERSION >= 20400
    const bool before = at::autocast::is_autocast_enabled(at::kCPU);
    for (const auto device : {at::kCPU, at::kCUDA}) {
      at::autocast::set_autocast_dtype(device, at::kBFloat16);
      at::autocast::set_autocast_enabled(device, enabled);
    }
#else
    const bool before = at::autocast::is_cpu_enabled();
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::autocast::set_cpu_enabled(enabled);
    at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
    at::autocast::set_enabled(enabled);
#endif
    // LibTorch's cache keeps casted copies of weights until autocast ends: a second step inside one body would compute
    // with the weights of the first.
    at::autocast::set_autocast_cache_enabled(false);
    return toBoolean(env, before);
  });
}

}  // namespace

void registerAutograd(napi_env env, napi_value exports) {
  exportFunction(env, exports, "backward", backward);
  exportFunction(env, exports, "grad", grad);
  exportFunction(env, exports, "gradOfGrad", gradOfGrad);
  exportFunction(env, exports, "setRequiresGrad", setRequiresGrad);
  exportFunction(env, exports, "gradientOf", gradientOf);
  exportFunction(env, exports, "setGradient", setGradient);
  exportFunction(env, exports, "setData", setData);
  exportFunction(env, exports, "gradMode", gradMode);
  exportFunction(env, exports, "setGradMode", setGradMode);
  exportFunction(env, exports, "setAutocast", setAutocast);
}

}  // namespace cohort
