// The ways that a convolution can be computed, and which of them is right on this machine: the first use of every shape is
// compared with the definition in float64, and what is wrong is never used.
#pragma once

#include <ATen/ATen.h>

#include <string>

#include "kernels/arithmeticFault.h"
#include "kernels/convolution/convolution.h"
#include "kernels/optionalTensor.h"

namespace cohort {

/// What is computed. Each is checked on its own, since libraries have kernels of their own for each.
enum class ConvolutionPass { kForward, kInputGradient, kWeightGradient, kFolded, kFoldedResidual, kLibraryForward,
                             kLibraryInputGradient, kLibraryWeightGradient };
constexpr int kConvolutionPasses = 8;

/// How it is computed, in the order in which they are tried.
enum class ConvolutionRoute {
  /// Our own kernels where they apply, else the library's.
  kUsual,
  /// ATen's convolution, which is oneDNN's on most processors.
  kLibrary,
  /// The same with maps in the other memory format.
  kOtherLayout,
  /// Patches of the maps as columns of a matrix, and a matrix product in float32.
  kProducts,
  /// ATen's convolution in float64.
  kFloat64,
  kNone
};
constexpr int kConvolutionRoutes = 5;

/// The first route that is right for a convolution of such tensors. @throws ArithmeticFault when none is.
ConvolutionRoute convolutionRoute(ConvolutionPass pass, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings);

/// Whether ATen's own convolution and its gradients are right for such tensors.
bool isLibraryRight(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings);

/// By our own kernels where they apply, else ATen's; not checked.
at::Tensor usualConvolution(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                            const ConvolutionSettings& settings);
std::tuple<at::Tensor, at::Tensor> usualGradients(const at::Tensor& gradient, const at::Tensor& input,
                                                  const at::Tensor& weight, const ConvolutionSettings& settings,
                                                  bool needsInput, bool needsWeight);
/// Undefined where no kernel fuses it.
at::Tensor usualFolded(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                       const OptionalTensor& residual, bool rectifies, const ConvolutionSettings& settings);

/// By one of the other routes.
at::Tensor convolveBy(ConvolutionRoute route, const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                      const ConvolutionSettings& settings);
at::Tensor inputGradientBy(ConvolutionRoute route, const at::Tensor& gradient, const at::Tensor& input,
                           const at::Tensor& weight, const ConvolutionSettings& settings);
at::Tensor weightGradientBy(ConvolutionRoute route, const at::Tensor& gradient, const at::Tensor& input,
                            const at::Tensor& weight, const ConvolutionSettings& settings);

/// All verdicts so far, one a line: what was checked, as numbers, the route, the usual one's error, and the same in words.
std::string convolutionVerdicts();
/// Adopts verdicts that an earlier process reached, in the same form; other lines are ignored.
void trustConvolutionVerdicts(const std::string& lines);

extern const char* const convolutionRouteNames[kConvolutionRoutes];

}  // namespace cohort
