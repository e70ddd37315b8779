// Batch normalisation, ReLU and a convolution in one operator, for training: what lies between normalisation and convolution
// is not kept for the way back, which saves a feature map for every such convolution. Winograd's convolution computes it while
// it reads its input; otherwise it is written, forward and once more on the way back.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/batchNorm/batchNorm.h"
#include "kernels/convolution/convolution.h"
#include "kernels/convolution/routes.h"
#include "kernels/convolution/winograd/winograd.h"

namespace cohort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class NormReluConvolution : public torch::autograd::Function<NormReluConvolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& kernel, const BatchNormSettings& settings,
                            const ConvolutionSettings& convolution) {
    const NormalisedBatch batch = measureBatch(input, weight, bias, settings);
    context->save_for_backward({input, weight, bias, kernel, batch.mean, batch.scale, batch.slope, batch.bias});
    context->saved_data["epsilon"] = settings.epsilon;
    context->saved_data["shared"] = SharedBatch::toValue(batch.shared);
    convolution.save(context->saved_data);
    at::Tensor output;
    if (convolutionRoute(ConvolutionPass::kForward, input, kernel, convolution) == ConvolutionRoute::kUsual) {
      output = winogradNormConvolution(input, {batch.mean, batch.slope, batch.bias}, kernel, convolution);
    }
    if (output.defined()) return output;
    return convolve(normaliseAgain(input, batch.bias, batch.mean, batch.slope), kernel, {}, convolution);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &bias = saved[2], &kernel = saved[3];
    TORCH_CHECK(isPlain(input) && isPlain(weight) && isPlain(bias) && weight.sizes() == saved[4].sizes() &&
                    bias.sizes() == weight.sizes() && input.dim() == 4 && input.size(1) == weight.size(0),
                "the input or weight of this batch normalisation was given other data since: ", input.sizes(), " and ",
                weight.sizes(), ". Run backward() first");
    const auto convolution = ConvolutionSettings::load(context->saved_data);
    const BatchNormNeeds needs{context->needs_input_grad(0),
                               context->needs_input_grad(1) || context->needs_input_grad(2), false};
    const bool isRecorded = at::GradMode::is_enabled();
    const auto shared = SharedBatch::fromValue(context->saved_data["shared"]);
    TORCH_CHECK(!isRecorded || !shared,
                "batch normalisation over several ranks cannot be differentiated twice. Run the whole batch on one rank");
    const bool needsInput = needs.input || needs.parameters, needsKernel = context->needs_input_grad(3);
    // The gradient by the kernel, where what lies between need not be written for it.
    at::Tensor ofKernel;
    if (needsKernel && !isRecorded &&
        convolutionRoute(ConvolutionPass::kWeightGradient, input, kernel, convolution) == ConvolutionRoute::kUsual) {
      ofKernel = winogradNormWeightGradient(gradients[0], input, {saved[4], saved[6], saved[7]}, kernel, convolution);
    }
    // The gradient by the input takes nothing but the shape from it, and its sign is that of the normalised input.
    const bool isWritten = isRecorded || (needsKernel && !ofKernel.defined());
    const at::Tensor between =
        !isWritten   ? input
        : isRecorded ? recordedBatchNorm(input, weight, bias, {},
                                         {{}, {}, true, 0, context->saved_data["epsilon"].toDouble(), true})
                     : normaliseAgain(input, saved[7], saved[4], saved[6]);
    const variable_list inner = recordedConvolutionGradients(gradients[0], between, kernel, convolution, needsInput,
                                                             needsKernel && !ofKernel.defined());
    variable_list results(6);
    if (needs.input || needs.parameters) {
      const BatchNormRecord record{input, weight, between, saved[4], saved[5], true, shared, saved[6], saved[7]};
      const variable_list outer = recordedBatchNormGradients(inner[0], record, needs);
      std::copy(outer.begin(), outer.begin() + 3, results.begin());
    }
    if (needsKernel) results[3] = ofKernel.defined() ? ofKernel.to(kernel.scalar_type()) : inner[1];
    return results;
  }
};

at::Tensor normReluConvolution(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                               const OptionalTensor& runningMean, const OptionalTensor& runningVar, double momentum,
                               double epsilon, const at::Tensor& kernel, at::IntArrayRef stride, at::IntArrayRef padding,
                               at::IntArrayRef dilation, int64_t groups) {
  const BatchNormSettings settings{runningMean, runningVar, /*training=*/true, momentum, epsilon, /*rectifies=*/true};
  const bool arePlain = isPlain(input) && isPlain(weight) && isPlain(bias) && isPlain(kernel) && isPlain(runningMean) &&
                        isPlain(runningVar);
  // Autocast would narrow the map between the two: then they are run one after the other.
  const bool isNarrowed = input.scalar_type() != at::kBFloat16 &&
                          !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutocastCPU);
  const bool fits = input.scalar_type() == kernel.scalar_type() ||
                    (input.scalar_type() == at::kBFloat16 && kernel.scalar_type() == at::kFloat);
  if (arePlain && !isNarrowed && fits && input.dim() == 4 && kernel.dim() == 4 && input.numel() != 0 &&
      batchNormKernels() != nullptr) {
    checkBatchNorm(input, {}, weight, bias, settings);
    return NormReluConvolution::apply(input, weight, bias, kernel, settings,
                                      ConvolutionSettings{stride.vec(), padding.vec(), dilation.vec(), groups});
  }
  static const auto norm = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("cohort::batch_norm_relu", "")
                               .typed<at::Tensor(const at::Tensor&, const OptionalTensor&, const OptionalTensor&,
                                                 const OptionalTensor&, const OptionalTensor&, bool, double, double)>();
  static const auto convolve = c10::Dispatcher::singleton()
                                   .findSchemaOrThrow("cohort::convolution2d", "")
                                   .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&,
                                                     at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t)>();
  return convolve.call(norm.call(input, weight, bias, runningMean, runningVar, true, momentum, epsilon), kernel, {}, stride,
                       padding, dilation, groups);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cohort, library) {
  library.def(
      "norm_relu_convolution(Tensor input, Tensor weight, Tensor bias, Tensor? running_mean, Tensor? running_var, float "
      "momentum, float eps, Tensor kernel, int[2] stride=1, int[2] padding=0, int[2] dilation=1, int groups=1) -> Tensor",
      normReluConvolution);
}

}  // namespace cohort
