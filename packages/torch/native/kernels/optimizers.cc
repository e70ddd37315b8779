// A step of stochastic gradient descent over all parameters in one call: a network has hundreds of small tensors, and
// an operator a tensor and term takes longer than the arithmetic.
#include <ATen/ATen.h>
#include <torch/library.h>

namespace cohort {
namespace {

struct SgdSettings {
  double learningRate, momentum, weightDecay;
  bool nesterov;
};

template <typename T>
void stepOne(T* parameter, const T* gradient, T* velocity, int64_t count, const SgdSettings& settings) {
  const auto rate = static_cast<T>(settings.learningRate), momentum = static_cast<T>(settings.momentum),
             decay = static_cast<T>(settings.weightDecay);
  const T ahead = settings.nesterov ? momentum : 1, share = settings.nesterov ? 1 : 0;
  for (int64_t i = 0; i < count; ++i) {
    const T slope = gradient[i] + decay * parameter[i];
    const T speed = momentum * velocity[i] + slope;
    velocity[i] = speed;
    parameter[i] -= rate * (ahead * speed + share * slope);
  }
}

/// Whether the three lie in memory alike, without gaps, so that one loop can pass over them.
bool areAlike(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& velocity) {
  const auto fits = [&](const at::Tensor& other) {
    return other.layout() == at::kStrided && other.device().is_cpu() && other.sizes() == parameter.sizes() &&
           other.strides() == parameter.strides() && other.scalar_type() == parameter.scalar_type() && !other.is_neg() &&
           !other._is_zerotensor();
  };
  return parameter.is_non_overlapping_and_dense() && fits(parameter) && fits(gradient) && fits(velocity) &&
         (parameter.scalar_type() == at::kFloat || parameter.scalar_type() == at::kDouble);
}

void sgd(at::TensorList parameters, at::TensorList gradients, at::TensorList velocities, double learningRate,
         double momentum, double weightDecay, bool nesterov) {
  TORCH_CHECK(parameters.size() == gradients.size() && parameters.size() == velocities.size(),
              "expected as many gradients and velocities as parameters, ", parameters.size(), ", got ", gradients.size(),
              " and ", velocities.size());
  const SgdSettings settings{learningRate, momentum, weightDecay, nesterov};
  const at::NoGradGuard noGrad;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor &parameter = parameters[i], &gradient = gradients[i], &velocity = velocities[i];
    if (!areAlike(parameter, gradient, velocity)) {
      const at::Tensor slope = weightDecay == 0 ? gradient : gradient.add(parameter, weightDecay);
      velocity.mul_(momentum).add_(slope);
      parameter.add_(nesterov ? slope.add(velocity, momentum) : velocity, -learningRate);
    } else if (parameter.scalar_type() == at::kFloat) {
      stepOne(parameter.data_ptr<float>(), gradient.data_ptr<float>(), velocity.data_ptr<float>(), parameter.numel(),
              settings);
      parameter.unsafeGetTensorImpl()->bump_version();
    } else {
      stepOne(parameter.data_ptr<double>(), gradient.data_ptr<double>(), velocity.data_ptr<double>(), parameter.numel(),
              settings);
      parameter.unsafeGetTensorImpl()->bump_version();
    }
  }
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cohort, library) {
  library.def(
      "sgd_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] velocities, float learning_rate, float momentum, float "
      "weight_decay, bool nesterov) -> ()",
      sgd);
}

}  // namespace cohort
