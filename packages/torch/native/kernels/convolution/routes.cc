// The ways around a convolution that a library computes wrongly: the other memory format, matrix products, float64.
#include "kernels/convolution/routes.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <string>

namespace cohort {
namespace {

at::MemoryFormat other(at::MemoryFormat format) {
  return format == at::MemoryFormat::ChannelsLast ? at::MemoryFormat::Contiguous : at::MemoryFormat::ChannelsLast;
}

/// Input and weight as a route wants them.
struct Prepared {
  at::Tensor input, weight;
  at::MemoryFormat format;
};

Prepared prepare(ConvolutionRoute route, const at::Tensor& input, const at::Tensor& weight) {
  const auto type = route == ConvolutionRoute::kFloat64 ? at::kDouble : input.scalar_type();
  const auto own = input.suggest_memory_format();
  const auto format = route == ConvolutionRoute::kOtherLayout ? other(own) : own;
  if (route == ConvolutionRoute::kLibrary) return {input, weight.to(type), format};
  return {input.to(type).contiguous(format), weight.to(type).contiguous(format), format};
}

/// The gradients by ATen, `which` of input, weight and bias.
at::Tensor libraryGradient(const at::Tensor& gradient, const Prepared& prepared, const ConvolutionSettings& settings,
                           bool ofInput) {
  const auto [first, second, third] = at::convolution_backward(
      gradient, prepared.input, prepared.weight, c10::nullopt, settings.stride, settings.padding, settings.dilation,
      /*transposed=*/false, /*output_padding=*/{0, 0}, settings.groups, {ofInput, !ofInput, false});
  return ofInput ? first : second;
}

/// What products are summed in: bfloat16 would round every sum.
at::ScalarType productType(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

/// The patches under each place of the kernel, `[B, C k k, H' W']`.
at::Tensor patches(const at::Tensor& maps, const at::Tensor& weight, const ConvolutionSettings& settings) {
  return at::im2col(maps.contiguous(), {weight.size(2), weight.size(3)}, settings.dilation, settings.padding, settings.stride);
}

/// `[O / G, C / G k k]` of one group.
at::Tensor matrixOf(const at::Tensor& weight, int64_t group, int64_t groups) {
  const int64_t share = weight.size(0) / groups;
  return weight.narrow(0, group * share, share).reshape({share, -1});
}

at::Tensor outputByProducts(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings) {
  std::vector<at::Tensor> parts;
  const int64_t each = input.size(1) / settings.groups;
  int64_t size[2];
  for (const int d : {0, 1}) {
    const int64_t span = settings.dilation[d] * (weight.size(2 + d) - 1) + 1;
    size[d] = (input.size(2 + d) + 2 * settings.padding[d] - span) / settings.stride[d] + 1;
  }
  for (int64_t g = 0; g < settings.groups; ++g) {
    const at::Tensor columns = patches(input.narrow(1, g * each, each), weight, settings);  // [B, K, L]
    parts.push_back(at::matmul(matrixOf(weight, g, settings.groups), columns));             // [B, O / G, L]
  }
  return at::cat(parts, 1).reshape({input.size(0), weight.size(0), size[0], size[1]});
}

at::Tensor inputGradientByProducts(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                   const ConvolutionSettings& settings) {
  std::vector<at::Tensor> parts;
  const int64_t share = weight.size(0) / settings.groups;
  for (int64_t g = 0; g < settings.groups; ++g) {
    const at::Tensor slopes = gradient.narrow(1, g * share, share).reshape({gradient.size(0), share, -1});  // [B, O / G, L]
    const at::Tensor columns = at::matmul(matrixOf(weight, g, settings.groups).t(), slopes);                // [B, K, L]
    parts.push_back(at::col2im(columns, {input.size(2), input.size(3)}, {weight.size(2), weight.size(3)}, settings.dilation,
                               settings.padding, settings.stride));
  }
  return at::cat(parts, 1);
}

at::Tensor weightGradientByProducts(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                    const ConvolutionSettings& settings) {
  std::vector<at::Tensor> parts;
  const int64_t share = weight.size(0) / settings.groups, each = input.size(1) / settings.groups;
  for (int64_t g = 0; g < settings.groups; ++g) {
    const at::Tensor columns = patches(input.narrow(1, g * each, each), weight, settings);  // [B, K, L]
    const at::Tensor slopes = gradient.narrow(1, g * share, share).reshape({gradient.size(0), share, -1});
    parts.push_back(at::mm(slopes.permute({1, 0, 2}).reshape({share, -1}),           // [O / G, B L]
                           columns.permute({0, 2, 1}).reshape({-1, columns.size(1)})));  // [B L, K]
  }
  return at::cat(parts, 0).reshape(weight.sizes());
}

/// Spoils the result of a route that COHORT_FAULT names, by itself or with the memory format of its maps after a slash: so
/// that tests see what comes of a wrong kernel.
at::Tensor spoiltWhereAsked(ConvolutionRoute route, const at::Tensor& input, const at::Tensor& result) {
  static const std::string faults = [] {
    const char* const given = std::getenv("COHORT_FAULT");
    return given == nullptr ? std::string() : "," + std::string(given) + ",";
  }();
  if (faults.empty() || !result.defined()) return result;
  const std::string name = convolutionRouteNames[static_cast<int>(route)];
  const bool isChannelsLast = input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  const bool isNamed = faults.find("," + name + ",") != std::string::npos ||
                       faults.find("," + name + (isChannelsLast ? "/channels-last," : "/contiguous,")) != std::string::npos;
  return isNamed ? result * 1.25 : result;
}

at::Tensor output(ConvolutionRoute route, const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                  const ConvolutionSettings& settings) {
  if (route == ConvolutionRoute::kUsual) return usualConvolution(input, weight, bias, settings);
  if (route == ConvolutionRoute::kProducts) {
    const auto type = productType(input.scalar_type());
    at::Tensor product = outputByProducts(input.to(type), weight.to(type), settings);
    if (isGiven(bias)) product.add_(bias->to(type).reshape({1, -1, 1, 1}));
    return product.to(input.scalar_type()).contiguous(input.suggest_memory_format());
  }
  const Prepared prepared = prepare(route, input, weight);
  const OptionalTensor shift = isGiven(bias) ? OptionalTensor(bias->to(prepared.input.scalar_type())) : OptionalTensor();
  const at::Tensor result =
      at::convolution(prepared.input, prepared.weight, shift, settings.stride, settings.padding, settings.dilation,
                      /*transposed=*/false, /*output_padding=*/{0, 0}, settings.groups);
  if (route == ConvolutionRoute::kLibrary) return result;
  return result.to(input.scalar_type()).contiguous(input.suggest_memory_format());
}

at::Tensor inputGradient(ConvolutionRoute route, const at::Tensor& gradient, const at::Tensor& input,
                         const at::Tensor& weight, const ConvolutionSettings& settings) {
  if (route == ConvolutionRoute::kUsual) return std::get<0>(usualGradients(gradient, input, weight, settings, true, false));
  if (route == ConvolutionRoute::kProducts) {
    const auto type = productType(input.scalar_type());
    return inputGradientByProducts(gradient.to(type), input, weight.to(type), settings)
        .to(input.scalar_type())
        .contiguous(input.suggest_memory_format());
  }
  const Prepared prepared = prepare(route, input, weight);
  const at::Tensor given = gradient.to(prepared.input.scalar_type()).contiguous(prepared.format);
  return libraryGradient(given, prepared, settings, true).to(input.scalar_type()).contiguous(input.suggest_memory_format());
}

at::Tensor weightGradient(ConvolutionRoute route, const at::Tensor& gradient, const at::Tensor& input,
                          const at::Tensor& weight, const ConvolutionSettings& settings) {
  if (route == ConvolutionRoute::kUsual) return std::get<1>(usualGradients(gradient, input, weight, settings, false, true));
  at::Tensor result;
  if (route == ConvolutionRoute::kProducts) {
    const auto type = productType(input.scalar_type());
    result = weightGradientByProducts(gradient.to(type), input.to(type), weight, settings);
  } else {
    const Prepared prepared = prepare(route, input, weight);
    const at::Tensor given = gradient.to(prepared.input.scalar_type()).contiguous(prepared.format);
    result = libraryGradient(given, prepared, settings, false);
  }
  return result.to(weight.scalar_type()).contiguous(weight.suggest_memory_format());
}

}  // namespace

const char* const convolutionRouteNames[kConvolutionRoutes] = {"usual", "library", "other-layout", "products", "float64"};

at::Tensor convolveBy(ConvolutionRoute route, const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                      const ConvolutionSettings& settings) {
  return spoiltWhereAsked(route, input, output(route, input, weight, bias, settings));
}

at::Tensor inputGradientBy(ConvolutionRoute route, const at::Tensor& gradient, const at::Tensor& input,
                           const at::Tensor& weight, const ConvolutionSettings& settings) {
  return spoiltWhereAsked(route, input, inputGradient(route, gradient, input, weight, settings));
}

at::Tensor weightGradientBy(ConvolutionRoute route, const at::Tensor& gradient, const at::Tensor& input,
                            const at::Tensor& weight, const ConvolutionSettings& settings) {
  return spoiltWhereAsked(route, input, weightGradient(route, gradient, input, weight, settings));
}

at::Tensor convolve(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                    const ConvolutionSettings& settings) {
  return convolveBy(convolutionRoute(ConvolutionPass::kForward, input, weight, settings), input, weight, bias, settings);
}

std::tuple<at::Tensor, at::Tensor> convolutionGradients(const at::Tensor& gradient, const at::Tensor& input,
                                                        const at::Tensor& weight, const ConvolutionSettings& settings,
                                                        bool needsInput, bool needsWeight) {
  using Pass = ConvolutionPass;
  const auto usual = ConvolutionRoute::kUsual;
  const auto ofInput = needsInput ? convolutionRoute(Pass::kInputGradient, input, weight, settings) : usual;
  const auto ofWeight = needsWeight ? convolutionRoute(Pass::kWeightGradient, input, weight, settings) : usual;
  // In one pass over the gradient where nothing is to be gone around.
  auto [byInput, byWeight] = usualGradients(gradient, input, weight, settings, needsInput && ofInput == usual,
                                            needsWeight && ofWeight == usual);
  if (ofInput != usual) byInput = inputGradientBy(ofInput, gradient, input, weight, settings);
  if (ofWeight != usual) byWeight = weightGradientBy(ofWeight, gradient, input, weight, settings);
  return {byInput, byWeight};
}

}  // namespace cohort
