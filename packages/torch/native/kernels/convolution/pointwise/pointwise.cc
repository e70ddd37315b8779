// Decides where our own 1x1 convolution applies, and hands tensors to its loops (pointwiseKernels.cc).
#include "kernels/convolution/pointwise/pointwise.h"

#include <ATen/Parallel.h>

#include "kernels/convolution/floatMaps.h"
#include "kernels/convolution/pointwise/pointwiseKernels.h"

namespace cohort {
namespace {

/// Of a convolution of all channels, or of one of so many equal parts of them.
bool describe(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings, PointwiseShape& shape,
              int64_t parts = 1) {
  const std::vector<int64_t> ones{1, 1}, zeros{0, 0};
  if (pointwiseKernels() == nullptr || !isOfFloats(input) || !isOfFloats(weight) || input.dim() != 4 || weight.dim() != 4 ||
      !input.is_contiguous(kMapFormat) || settings.groups != 1 || parts * weight.size(1) != input.size(1) ||
      weight.size(2) != 1 || weight.size(3) != 1 || settings.stride != ones || settings.padding != zeros) {
    return false;
  }
  shape = {input.size(0) * input.size(2) * input.size(3),
           weight.size(1),
           weight.size(0),
           input.size(1),
           weight.size(0),
           input.scalar_type() == at::kBFloat16,
           at::in_parallel_region() ? 1 : at::get_num_threads()};
  return true;
}

/// [O, I, 1, 1] to [O, I] in float32.
at::Tensor matrixOf(const at::Tensor& weight) {
  return weight.to(at::kFloat).view({weight.size(0), weight.size(1)}).contiguous();
}

at::Tensor newScratch(int64_t bytes) { return at::empty({bytes}, at::TensorOptions().dtype(at::kByte)); }

}  // namespace

at::Tensor pointwiseConvolution(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                                const ConvolutionSettings& settings) {
  PointwiseShape shape;
  if (isGiven(bias) || !describe(input, weight, settings, shape) || !pointwiseKernels()->supports(shape)) return {};
  const at::Tensor matrix = matrixOf(weight), scratch = newScratch(pointwiseKernels()->scratchBytes(shape));
  const at::Tensor output = at::empty({input.size(0), weight.size(0), input.size(2), input.size(3)},
                                      input.options().requires_grad(false), kMapFormat);
  pointwiseKernels()->convolution(shape, input.data_ptr(), matrix.data_ptr<float>(), nullptr, scratch.data_ptr(),
                                  output.data_ptr(), nullptr);
  return output;
}

at::Tensor pointwiseInputGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings) {
  PointwiseShape shape;
  if (!describe(input, weight, settings, shape) || !isLikeResult(gradient, input, weight) ||
      !pointwiseKernels()->supportsInputGradient(shape)) {
    return {};
  }
  const at::Tensor given = gradient.contiguous(kMapFormat), matrix = matrixOf(weight);
  const at::Tensor scratch = newScratch(pointwiseKernels()->scratchBytes(shape));
  const at::Tensor result = at::empty(input.sizes(), input.options().requires_grad(false), kMapFormat);
  pointwiseKernels()->inputGradient(shape, given.data_ptr(), matrix.data_ptr<float>(), {nullptr, nullptr, nullptr},
                                    scratch.data_ptr(), result.data_ptr());
  return result;
}

at::Tensor pointwiseWeightGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                                   const ConvolutionSettings& settings) {
  PointwiseShape shape;
  if (!describe(input, weight, settings, shape) || !isLikeResult(gradient, input, weight) ||
      !pointwiseKernels()->supportsWeightGradient(shape)) {
    return {};
  }
  const at::Tensor given = gradient.contiguous(kMapFormat);
  const at::Tensor scratch = newScratch(pointwiseKernels()->weightGradientScratchBytes(shape));
  const at::Tensor result = at::empty({weight.size(0), weight.size(1)}, at::TensorOptions().dtype(at::kFloat));
  pointwiseKernels()->weightGradient(shape, given.data_ptr(), input.data_ptr(), scratch.data_ptr(), result.data_ptr<float>(),
                                     nullptr);
  return result.view(weight.sizes()).contiguous(weight.suggest_memory_format());
}

namespace {

PointwiseNorm normOf(const PointwiseNormMaps& maps) {
  return {maps.mean.data_ptr<float>(), maps.slope.data_ptr<float>(), maps.bias.data_ptr<float>()};
}

/// Weights for the input as it is, [O, I], and a shift, [O].
struct FoldedWeights {
  FoldedWeights(const PointwiseShape& shape, const PointwiseNormMaps& maps)
      : weight(newFloats(shape.outChannels * shape.inChannels)), shift(newFloats(shape.outChannels)) {
    pointwiseKernels()->fold(shape, matrixOf(maps.kernel).data_ptr<float>(), normOf(maps), weight.data_ptr<float>(),
                             shift.data_ptr<float>());
  }
  static at::Tensor newFloats(int64_t count) { return at::empty({count}, at::TensorOptions().dtype(at::kFloat)); }

  at::Tensor weight, shift;
};

/// Where the loops write moments, if anybody wants them.
struct Measurement {
  Measurement(int64_t channels, BatchMoments* moments) {
    if (moments == nullptr) return;
    scratch = batchNormScratch(channels);
    moments->mean.resize(static_cast<size_t>(channels));
    moments->squares.resize(static_cast<size_t>(channels));
    statistics = {scratch.data_ptr<double>(), moments->mean.data(), moments->squares.data()};
  }

  at::Tensor scratch;
  PointwiseStatistics statistics{};
};

PointwiseShape shapeOf(const PointwiseNormMaps& maps) {
  PointwiseShape shape;
  describe(maps.input, maps.kernel, kPointwise, shape);
  return shape;
}

}  // namespace

bool supportsPointwiseNorm(const at::Tensor& input, const at::Tensor& kernel) {
  PointwiseShape shape;
  return describe(input, kernel, kPointwise, shape) && pointwiseKernels()->supports(shape) &&
         pointwiseKernels()->supportsInputGradient(shape) && pointwiseKernels()->supportsWeightGradient(shape);
}

at::Tensor pointwiseNormConvolution(const PointwiseNormMaps& maps, BatchMoments* moments) {
  const auto& [input, kernel, mean, slope, bias] = maps;
  const PointwiseShape shape = shapeOf(maps);
  const FoldedWeights folded(shape, maps);
  const at::Tensor scratch = newScratch(pointwiseKernels()->scratchBytes(shape));
  const at::Tensor output = at::empty({input.size(0), kernel.size(0), input.size(2), input.size(3)},
                                      input.options().requires_grad(false), kMapFormat);
  const Measurement measurement(shape.outChannels, moments);
  pointwiseKernels()->convolution(shape, input.data_ptr(), folded.weight.data_ptr<float>(), folded.shift.data_ptr<float>(),
                                  scratch.data_ptr(), output.data_ptr(), moments == nullptr ? nullptr : &measurement.statistics);
  return output;
}

PointwiseNormSums pointwiseNormSums(const at::Tensor& gradient, const PointwiseNormMaps& maps) {
  const PointwiseShape shape = shapeOf(maps);
  const at::Tensor given = gradient.contiguous(kMapFormat);
  const at::Tensor scratch = newScratch(pointwiseKernels()->weightGradientScratchBytes(shape));
  const at::Tensor result = FoldedWeights::newFloats(shape.outChannels * shape.inChannels);
  const at::Tensor sums = FoldedWeights::newFloats(shape.outChannels);
  pointwiseKernels()->weightGradient(shape, given.data_ptr(), maps.input.data_ptr(), scratch.data_ptr(),
                                     result.data_ptr<float>(), sums.data_ptr<float>());
  PointwiseNormSums all;
  all.sum.resize(static_cast<size_t>(shape.inChannels));
  all.product.resize(static_cast<size_t>(shape.inChannels));
  pointwiseKernels()->unfold(shape, matrixOf(maps.kernel).data_ptr<float>(), normOf(maps), sums.data_ptr<float>(),
                             result.data_ptr<float>(), all.sum.data(), all.product.data());
  all.weightGradient = result.view(maps.kernel.sizes()).contiguous(maps.kernel.suggest_memory_format());
  return all;
}

at::Tensor pointwiseNormInputGradient(const at::Tensor& gradient, const PointwiseNormMaps& maps,
                                      const std::vector<double>& incline, const std::vector<double>& offset) {
  const PointwiseShape shape = shapeOf(maps);
  const at::Tensor given = gradient.contiguous(kMapFormat);
  const FoldedWeights folded(shape, maps);
  const at::Tensor scratch = newScratch(pointwiseKernels()->scratchBytes(shape));
  const at::Tensor result = at::empty(maps.input.sizes(), maps.input.options().requires_grad(false), kMapFormat);
  const at::Tensor slope = FoldedWeights::newFloats(shape.inChannels), shift = FoldedWeights::newFloats(shape.inChannels);
  const float* const mean = maps.mean.data_ptr<float>();
  for (size_t c = 0; c < incline.size(); ++c) {
    slope.data_ptr<float>()[c] = static_cast<float>(incline[c]);
    shift.data_ptr<float>()[c] = static_cast<float>(offset[c] - incline[c] * static_cast<double>(mean[c]));
  }
  pointwiseKernels()->inputGradient(shape, given.data_ptr(), folded.weight.data_ptr<float>(),
                                    {shift.data_ptr<float>(), maps.input.data_ptr(), slope.data_ptr<float>()},
                                    scratch.data_ptr(), result.data_ptr());
  return result;
}

namespace {

/// The last half of a map's channels, in its memory.
char* lastHalf(const at::Tensor& map) {
  return static_cast<char*>(map.data_ptr()) + map.size(1) / 2 * static_cast<int64_t>(map.element_size());
}

bool describeHalf(const at::Tensor& input, const at::Tensor& kernel, PointwiseShape& shape) {
  return describe(input, kernel, kPointwise, shape, /*parts=*/2);
}

}  // namespace

bool supportsPointwiseHalf(const at::Tensor& input, const at::Tensor& kernel) {
  PointwiseShape shape;
  return describeHalf(input, kernel, shape) && pointwiseKernels()->supports(shape) &&
         pointwiseKernels()->supportsInputGradient(shape) && pointwiseKernels()->supportsWeightGradient(shape);
}

at::Tensor pointwiseHalfConvolution(const at::Tensor& input, const at::Tensor& kernel, BatchMoments& moments) {
  PointwiseShape shape;
  describeHalf(input, kernel, shape);
  const at::Tensor matrix = matrixOf(kernel), scratch = newScratch(pointwiseKernels()->scratchBytes(shape));
  const at::Tensor output = at::empty({input.size(0), kernel.size(0), input.size(2), input.size(3)},
                                      input.options().requires_grad(false), kMapFormat);
  const Measurement measurement(shape.outChannels, &moments);
  pointwiseKernels()->convolution(shape, lastHalf(input), matrix.data_ptr<float>(), nullptr, scratch.data_ptr(),
                                  output.data_ptr(), &measurement.statistics);
  return output;
}

at::Tensor pointwiseHalfGradients(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& kernel,
                                  const at::Tensor& inputGradient) {
  PointwiseShape shape;
  describeHalf(input, kernel, shape);
  const at::Tensor matrix = matrixOf(kernel);
  const at::Tensor scratch = newScratch(
      std::max(pointwiseKernels()->weightGradientScratchBytes(shape), pointwiseKernels()->scratchBytes(shape)));
  const at::Tensor result = FoldedWeights::newFloats(shape.outChannels * shape.inChannels);
  pointwiseKernels()->weightGradient(shape, gradient.data_ptr(), lastHalf(input), scratch.data_ptr(), result.data_ptr<float>(),
                                     nullptr);
  pointwiseKernels()->inputGradient(shape, gradient.data_ptr(), matrix.data_ptr<float>(), {nullptr, nullptr, nullptr},
                                    scratch.data_ptr(), lastHalf(inputGradient));
  return result.view(kernel.sizes()).contiguous(kernel.suggest_memory_format());
}

}  // namespace cohort
