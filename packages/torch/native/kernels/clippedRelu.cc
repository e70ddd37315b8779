// min(max(x, 0), ceiling) as one operator whose gradient needs the result alone: ATen's in-place clamp keeps a copy of its
// input for that, and hardtanh has no gradient for bfloat16 in LibTorch 1.13.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/clippedReluLoops.h"

namespace cohort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Fewer numbers than this are not worth waking a thread for.
constexpr int64_t kFewestPerThread = 32768;

bool suitsLoops(const at::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return tensor.device().is_cpu() && tensor.layout() == at::kStrided && tensor.has_storage() && !tensor.is_neg() &&
         !tensor._is_zerotensor() && tensor.is_non_overlapping_and_dense() &&
         (type == at::kFloat || type == at::kDouble || type == at::kBFloat16);
}

template <typename T>
void passPart(const at::Tensor& result, const at::Tensor& gradient, const at::Tensor& passed, int64_t begin, int64_t end,
              T ceiling) {
  const auto at = [&](const at::Tensor& tensor) { return static_cast<T*>(tensor.data_ptr()) + begin; };
  passBetween(static_cast<const T*>(at(result)), static_cast<const T*>(at(gradient)), at(passed), end - begin, ceiling);
}

/// The gradient where the result lies between the bounds, or is NaN; zero elsewhere, as for PyTorch's ReLU6.
at::Tensor masked(const at::Tensor& gradient, const at::Tensor& result, double ceiling) {
  if (!suitsLoops(result) || gradient.scalar_type() != result.scalar_type() || gradient.device() != result.device()) {
    return at::where(result.le(0).logical_or(result.ge(ceiling)), at::zeros({}, gradient.options()), gradient);
  }
  const at::Tensor placed =
      gradient.strides() == result.strides() && suitsLoops(gradient) ? gradient : at::empty_like(result).copy_(gradient);
  const at::Tensor passed = at::empty_like(result, result.options().requires_grad(false));
  at::parallel_for(0, result.numel(), kFewestPerThread, [&](int64_t begin, int64_t end) {
    if (result.scalar_type() == at::kFloat) return passPart(result, placed, passed, begin, end, static_cast<float>(ceiling));
    if (result.scalar_type() == at::kDouble) return passPart(result, placed, passed, begin, end, ceiling);
    passPart(result, placed, passed, begin, end, static_cast<int16_t>(at::BFloat16(static_cast<float>(ceiling)).x));
  });
  return passed;
}

/// Linear in the gradient, so that its own derivative is the same mask once more.
class Mask : public torch::autograd::Function<Mask> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gradient, const at::Tensor& result, double ceiling) {
    at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({result});
    context->saved_data["ceiling"] = ceiling;
    return masked(gradient, result, ceiling);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const double ceiling = context->saved_data["ceiling"].toDouble();
    return {apply(gradients[0], context->get_saved_variables()[0], ceiling), at::Tensor(), at::Tensor()};
  }
};

class ClippedRelu : public torch::autograd::Function<ClippedRelu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, double ceiling) {
    at::AutoDispatchBelowADInplaceOrView below;
    const at::Tensor result = input.clamp(0, ceiling);
    context->save_for_backward({result});
    context->saved_data["ceiling"] = ceiling;
    return result;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const double ceiling = context->saved_data["ceiling"].toDouble();
    return {Mask::apply(gradients[0], context->get_saved_variables()[0].detach(), ceiling), at::Tensor()};
  }
};

at::Tensor clippedRelu(const at::Tensor& input, double ceiling) {
  TORCH_CHECK(ceiling > 0, "clipped_relu: expected a ceiling above 0, got ", ceiling);
  TORCH_CHECK(at::isFloatingType(input.scalar_type()), "clipped_relu: expected floating-point numbers, got ",
              input.scalar_type());
  return ClippedRelu::apply(input, ceiling);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cohort, library) { library.def("clipped_relu(Tensor input, float ceiling) -> Tensor", clippedRelu); }

}  // namespace cohort
