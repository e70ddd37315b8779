// Convolutions by their definition. Includes nothing of LibTorch, so that no mistake of its can be repeated here.
#include "kernels/convolution/reference.h"

namespace cohort {
namespace {

/// Takes `index` apart, the last of four sizes first.
void split(int64_t index, int64_t second, int64_t third, int64_t fourth, int64_t (&to)[4]) {
  to[3] = index % fourth;
  to[2] = index / fourth % third;
  to[1] = index / fourth / third % second;
  to[0] = index / fourth / third / second;
}

}  // namespace

double PlainConvolution::output(const double* input, const double* weight, int64_t index) const {
  int64_t at[4];  // image, output channel, row, column
  split(index, outChannels, outSize[0], outSize[1], at);
  const int64_t each = inChannels / groups, first = at[1] / (outChannels / groups) * each;
  double sum = 0;
  for (int64_t c = 0; c < each; ++c) {
    for (int64_t ky = 0; ky < kernel[0]; ++ky) {
      const int64_t y = at[2] * stride[0] - padding[0] + ky * dilation[0];
      if (y < 0 || y >= size[0]) continue;
      const double* const row = input + ((at[0] * inChannels + first + c) * size[0] + y) * size[1];
      const double* const taps = weight + ((at[1] * each + c) * kernel[0] + ky) * kernel[1];
      for (int64_t kx = 0; kx < kernel[1]; ++kx) {
        const int64_t x = at[3] * stride[1] - padding[1] + kx * dilation[1];
        if (x >= 0 && x < size[1]) sum += row[x] * taps[kx];
      }
    }
  }
  return sum;
}

double PlainConvolution::inputGradient(const double* gradient, const double* weight, int64_t index) const {
  int64_t at[4];  // image, input channel, row, column
  split(index, inChannels, size[0], size[1], at);
  const int64_t each = inChannels / groups, share = outChannels / groups, group = at[1] / each;
  double sum = 0;
  for (int64_t ky = 0; ky < kernel[0]; ++ky) {
    const int64_t above = at[2] + padding[0] - ky * dilation[0], y = above / stride[0];
    if (above < 0 || above % stride[0] != 0 || y >= outSize[0]) continue;
    for (int64_t kx = 0; kx < kernel[1]; ++kx) {
      const int64_t left = at[3] + padding[1] - kx * dilation[1], x = left / stride[1];
      if (left < 0 || left % stride[1] != 0 || x >= outSize[1]) continue;
      for (int64_t o = group * share; o < (group + 1) * share; ++o) {
        sum += gradient[((at[0] * outChannels + o) * outSize[0] + y) * outSize[1] + x] *
               weight[((o * each + at[1] % each) * kernel[0] + ky) * kernel[1] + kx];
      }
    }
  }
  return sum;
}

double PlainConvolution::weightGradient(const double* gradient, const double* input, int64_t index) const {
  const int64_t each = inChannels / groups;
  int64_t at[4];  // output channel, input channel of its group, row and column of the kernel
  split(index, each, kernel[0], kernel[1], at);
  const int64_t channel = at[0] / (outChannels / groups) * each + at[1];
  double sum = 0;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t oy = 0; oy < outSize[0]; ++oy) {
      const int64_t y = oy * stride[0] - padding[0] + at[2] * dilation[0];
      if (y < 0 || y >= size[0]) continue;
      const double* const slopes = gradient + ((n * outChannels + at[0]) * outSize[0] + oy) * outSize[1];
      const double* const row = input + ((n * inChannels + channel) * size[0] + y) * size[1];
      for (int64_t ox = 0; ox < outSize[1]; ++ox) {
        const int64_t x = ox * stride[1] - padding[1] + at[3] * dilation[1];
        if (x >= 0 && x < size[1]) sum += slopes[ox] * row[x];
      }
    }
  }
  return sum;
}

}  // namespace cohort
