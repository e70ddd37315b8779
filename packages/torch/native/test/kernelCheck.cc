// Runs our own kernels for this processor against their definitions in float64, without LibTorch: for processors that are
// emulated. `make kernel-check` builds it; it says what was compared and ends with 1 where something is wrong.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <vector>

#include "kernels/batchNorm/batchNormKernels.h"
#include "kernels/convolution/depthwise/depthwiseKernels.h"
#include "kernels/convolution/reference.h"
#include "kernels/convolution/pointwise/pointwiseKernels.h"
#include "kernels/convolution/winograd/winogradKernels.h"

namespace cohort {
namespace {

int failures = 0;

void compare(const char* what, double error, double allowed) {
  const bool isRight = error <= allowed;
  printf("%s  %s: %.2g\n", isRight ? "right" : "WRONG", what, error);
  if (!isRight) ++failures;
}

/// The larger one, and NaN where either is.
double farther(double left, double right) { return left != left || left > right ? left : right; }

std::vector<double> filled(int64_t count, uint32_t state) {
  std::vector<double> numbers(static_cast<size_t>(count));
  for (double& number : numbers) {
    state = state * 1664525u + 1013904223u;
    number = (static_cast<double>(state >> 25) - 63.5) / 64;
  }
  return numbers;
}

std::vector<float> narrow(const std::vector<double>& numbers) { return std::vector<float>(numbers.begin(), numbers.end()); }

/// `[N, C, H W]` as `[N, H W, C]`.
std::vector<float> inRows(const std::vector<double>& numbers, int64_t batch, int64_t channels, int64_t inner) {
  std::vector<float> rows(numbers.size());
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < inner; ++i) rows[(n * inner + i) * channels + c] = numbers[(n * channels + c) * inner + i];
    }
  }
  return rows;
}

/// Memory that begins at a multiple of 64, as the kernels want it.
float* aligned(std::vector<float>& memory, int64_t bytes) {
  memory.resize(static_cast<size_t>(bytes) / 4 + 32);
  return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) & ~uintptr_t{63});
}

void checkWinograd(int64_t in, int64_t out, int64_t height, int64_t width) {
  const WinogradKernels* const kernels = winogradKernels();
  const PlainConvolution plain{2, in, out, 1, {height, width}, {height, width}, {3, 3}, {1, 1}, {1, 1}, {1, 1}};
  const WinogradShape shape{2, in, out, height, width, false, 1, 1};
  const auto input = filled(plain.inputs(), 1), weight = filled(plain.weights(), 2), slopes = filled(plain.outputs(), 3);
  // [out][in][3 3] as [out][3 3][in].
  const auto ordered = inRows(weight, out, in, 9);
  const auto rows = inRows(input, 2, in, height * width), slopeRows = inRows(slopes, 2, out, height * width);
  std::vector<float> memory, output(slopes.size());
  float* const scratch = aligned(memory, kernels->scratchBytes(shape));
  kernels->convolution(shape, rows.data(), {nullptr, nullptr, nullptr}, ordered.data(), false, nullptr, {nullptr, nullptr, false}, scratch, output.data());
  double difference = 0, largest = 0;
  const int64_t inner = height * width;
  for (int64_t index = 0; index < plain.outputs(); ++index) {
    const double right = plain.output(input.data(), weight.data(), index);
    const int64_t n = index / inner / out, c = index / inner % out, i = index % inner;
    difference = farther(difference, fabs(output[(n * inner + i) * out + c] - right));
    largest = std::max(largest, fabs(right));
  }
  char what[100];
  snprintf(what, sizeof what, "Winograd, %d to %d channels, %dx%d", int(in), int(out), int(height), int(width));
  compare(what, difference / largest, 1e-5);

  const WinogradShape turned{2, out, in, height, width, false, 1, 1};
  std::vector<float> inputGradient(input.size());
  float* const other = aligned(memory, kernels->scratchBytes(turned));
  kernels->convolution(turned, slopeRows.data(), {nullptr, nullptr, nullptr}, ordered.data(), true, nullptr, {nullptr, nullptr, false}, other, inputGradient.data());
  difference = largest = 0;
  for (int64_t index = 0; index < plain.inputs(); ++index) {
    const double right = plain.inputGradient(slopes.data(), weight.data(), index);
    const int64_t n = index / inner / in, c = index / inner % in, i = index % inner;
    difference = farther(difference, fabs(inputGradient[(n * inner + i) * in + c] - right));
    largest = std::max(largest, fabs(right));
  }
  compare("  its gradient by the input", difference / largest, 1e-5);

  std::vector<float> weightGradient(weight.size());
  float* const last = aligned(memory, kernels->scratchBytes(shape));
  kernels->weightGradient(shape, slopeRows.data(), rows.data(), {nullptr, nullptr, nullptr}, last, weightGradient.data());
  difference = largest = 0;
  for (int64_t index = 0; index < plain.weights(); ++index) {
    const double right = plain.weightGradient(slopes.data(), input.data(), index);
    const int64_t o = index / 9 / in, c = index / 9 % in, tap = index % 9;
    difference = farther(difference, fabs(weightGradient[(o * 9 + tap) * in + c] - right));
    largest = std::max(largest, fabs(right));
  }
  compare("  its gradient by the weight", difference / largest, 1e-5);
}

void checkDepthwise(int64_t channels, int64_t height, int64_t width, int64_t stride) {
  const DepthwiseKernels* const kernels = depthwiseKernels();
  const int64_t outHeight = (height - 1) / stride + 1, outWidth = (width - 1) / stride + 1;
  const DepthwiseShape shape{3, channels, height, width, outHeight, outWidth, stride, false, 1};
  const PlainConvolution plain{3,      channels,         channels, channels, {height, width}, {outHeight, outWidth},
                               {3, 3}, {stride, stride}, {1, 1},   {1, 1}};
  const auto input = filled(3 * channels * height * width, 7), weight = filled(channels * 9, 8);
  const auto slopes = filled(3 * channels * outHeight * outWidth, 9);
  const auto rows = inRows(input, 3, channels, height * width), slopeRows = inRows(slopes, 3, channels, outHeight * outWidth);
  std::vector<float> taps(weight.size()), output(slopeRows.size()), inputGradient(rows.size()), weightGradient(weight.size());
  for (int64_t i = 0; i < channels * 9; ++i) taps[i % 9 * channels + i / 9] = static_cast<float>(weight[i]);
  std::vector<double> scratch(kernels->scratchBytes(shape) / sizeof(double));
  kernels->convolution(shape, rows.data(), taps.data(), nullptr, false, output.data());
  kernels->inputGradient(shape, slopeRows.data(), taps.data(), inputGradient.data());
  kernels->weightGradient(shape, slopeRows.data(), rows.data(), scratch.data(), weightGradient.data());
  const auto farthest = [&](const std::vector<float>& found, int64_t inner, auto right) {
    double difference = 0;
    for (int64_t index = 0; index < static_cast<int64_t>(found.size()); ++index) {
      const int64_t place = (index / (channels * inner) * inner + index % inner) * channels + index / inner % channels;
      difference = farther(difference, fabs(found[place] - right(index)));
    }
    return difference;
  };
  printf("depthwise, %d channels, %dx%d, stride %d\n", int(channels), int(height), int(width), int(stride));
  compare("  output", farthest(output, outHeight * outWidth,
                               [&](int64_t i) { return plain.output(input.data(), weight.data(), i); }), 1e-5);
  compare("  its gradient by the input", farthest(inputGradient, height * width,
                                                  [&](int64_t i) { return plain.inputGradient(slopes.data(), weight.data(), i); }), 1e-5);
  double difference = 0;
  for (int64_t i = 0; i < channels * 9; ++i) {
    const double right = plain.weightGradient(slopes.data(), input.data(), i);
    difference = farther(difference, fabs(weightGradient[i % 9 * channels + i / 9] - right));
  }
  compare("  its gradient by the weight", difference, 1e-4);
}

void checkPointwise(int64_t in, int64_t out, int64_t pixels) {
  const PointwiseKernels* const kernels = pointwiseKernels();
  const PointwiseShape shape{pixels, in, out, in, out, false, 1};
  const PlainConvolution plain{1, in, out, 1, {pixels, 1}, {pixels, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}};
  const auto input = filled(in * pixels, 10), weight = filled(out * in, 11), slopes = filled(out * pixels, 12);
  const auto rows = inRows(input, 1, in, pixels), slopeRows = inRows(slopes, 1, out, pixels);
  const auto matrix = narrow(weight);
  std::vector<float> output(slopeRows.size()), inputGradient(rows.size()), weightGradient(matrix.size());
  const int64_t bytes = std::max(kernels->scratchBytes(shape), kernels->weightGradientScratchBytes(shape));
  std::vector<double> scratch(bytes / sizeof(double) + 1);
  kernels->convolution(shape, rows.data(), matrix.data(), nullptr, scratch.data(), output.data(), nullptr);
  kernels->inputGradient(shape, slopeRows.data(), matrix.data(), {nullptr, nullptr, nullptr}, scratch.data(),
                         inputGradient.data());
  kernels->weightGradient(shape, slopeRows.data(), rows.data(), scratch.data(), weightGradient.data(), nullptr);
  const auto farthest = [&](const std::vector<float>& found, int64_t channels, auto right) {
    double difference = 0;
    for (int64_t i = 0; i < static_cast<int64_t>(found.size()); ++i) {
      difference = farther(difference, fabs(found[i % pixels * channels + i / pixels] - right(i)));
    }
    return difference;
  };
  printf("1x1, %d to %d channels, %d pixels\n", int(in), int(out), int(pixels));
  compare("  output", farthest(output, out, [&](int64_t i) { return plain.output(input.data(), weight.data(), i); }), 1e-4);
  compare("  its gradient by the input",
          farthest(inputGradient, in, [&](int64_t i) { return plain.inputGradient(slopes.data(), weight.data(), i); }), 1e-4);
  double difference = 0;
  for (int64_t i = 0; i < in * out; ++i) {
    difference = farther(difference, fabs(weightGradient[i] - plain.weightGradient(slopes.data(), input.data(), i)));
  }
  compare("  its gradient by the weight", difference, 1e-3);
}

void checkBatchNorm(bool rows, int64_t channels) {
  const BatchNormKernels* const kernels = batchNormKernels();
  const BatchNormMaps maps{ElementType::kFloat32, rows, 3, channels, 37, 1};
  const auto numbers = filled(3 * channels * 37, 5), slopes = filled(3 * channels * 37, 6);
  const auto input = rows ? inRows(numbers, 3, channels, 37) : narrow(numbers);
  const auto gradient = rows ? inRows(slopes, 3, channels, 37) : narrow(slopes);
  const auto width = static_cast<size_t>(channels);
  std::vector<double> scratch(2 * BatchNormKernels::kMostSegments * width), mean(width), squares(width);
  kernels->statistics(maps, input.data(), scratch.data(), mean.data(), squares.data());
  double meanError = 0, squareError = 0, outputError = 0, sumError = 0;
  std::vector<double> rightMean(width), sums(width), products(width);
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, square = 0;
    const auto each = [&](auto body) {
      for (int64_t n = 0; n < 3; ++n) {
        for (int64_t i = 0; i < 37; ++i) body((n * channels + c) * 37 + i);
      }
    };
    each([&](int64_t at) { sum += numbers[at]; });
    rightMean[c] = sum / 111;
    each([&](int64_t at) { square += (numbers[at] - rightMean[c]) * (numbers[at] - rightMean[c]); });
    meanError = farther(meanError, fabs(mean[c] - rightMean[c]));
    squareError = farther(squareError, fabs(squares[c] - square) / square);
  }
  const std::vector<float> center(rightMean.begin(), rightMean.end()), scale(width, 1.5f), bias(width, -0.25f);
  std::vector<float> output(input.size());
  kernels->forward(maps, input.data(), nullptr, center.data(), scale.data(), bias.data(), true, output.data());
  kernels->sums(maps, gradient.data(), output.data(), input.data(), center.data(), nullptr, nullptr, nullptr, scratch.data(), sums.data(),
                products.data());
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t n = 0; n < 3; ++n) {
      for (int64_t i = 0; i < 37; ++i) {
        const int64_t at = (n * channels + c) * 37 + i, place = rows ? (n * 37 + i) * channels + c : at;
        const double right = std::max(0.0, (numbers[at] - center[c]) * 1.5 - 0.25);
        outputError = farther(outputError, fabs(output[place] - right));
        if (output[place] > 0) sum += slopes[at];
      }
    }
    sumError = farther(sumError, fabs(sums[c] - sum));
  }
  printf("batch normalisation, %s, %d channels\n", rows ? "channels-last" : "contiguous", int(channels));
  compare("  mean", meanError, 1e-6);
  compare("  squares", squareError, 1e-5);
  compare("  output", outputError, 1e-5);
  compare("  sums of the gradient", sumError, 1e-4);
}

}  // namespace
}  // namespace cohort

int main() {
  printf("batch normalisation by %s, Winograd by %s\n", cohort::kernelChoice(),
         cohort::winogradKernels() == nullptr ? "nothing" : cohort::winogradKernels()->capability);
  for (const bool rows : {false, true}) {
    for (const int64_t channels : {1, 5, 16, 40}) cohort::checkBatchNorm(rows, channels);
  }
  if (cohort::winogradKernels() != nullptr) {
    cohort::checkWinograd(16, 16, 8, 8);
    cohort::checkWinograd(32, 16, 7, 9);
    cohort::checkWinograd(16, 48, 13, 6);
  }
  if (cohort::depthwiseKernels() != nullptr) {
    cohort::checkDepthwise(16, 7, 5, 1);
    cohort::checkDepthwise(27, 8, 9, 2);
  }
  if (cohort::pointwiseKernels() != nullptr) {
    cohort::checkPointwise(58, 58, 301);
    cohort::checkPointwise(48, 67, 5);
  }
  return cohort::failures == 0 ? 0 : 1;
}
