// Convolutions and their gradients, for the operators that contain one.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/variable.h>

#include <cstdint>
#include <tuple>
#include <vector>

namespace cohort {

/// Of a convolution in two dimensions; the vectors have one number per dimension.
struct ConvolutionSettings {
  std::vector<int64_t> stride;
  std::vector<int64_t> padding;
  std::vector<int64_t> dilation;
  int64_t groups;

  /// To and from what an autograd function keeps.
  template <typename Data>
  void save(Data& data) const {
    data["stride"] = stride;
    data["padding"] = padding;
    data["dilation"] = dilation;
    data["groups"] = groups;
  }
  template <typename Data>
  static ConvolutionSettings load(Data& data) {
    return {data["stride"].toIntVector(), data["padding"].toIntVector(), data["dilation"].toIntVector(),
            data["groups"].toInt()};
  }
};

/// Not recorded. Weight and bias may be float32 with an input in bfloat16.
at::Tensor convolve(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                    const ConvolutionSettings& settings);

/// The gradients by input and weight, without being recorded; undefined where they are not needed. The weight may be
/// float32 with maps in bfloat16, and so is its gradient then.
std::tuple<at::Tensor, at::Tensor> convolutionGradients(const at::Tensor& gradient, const at::Tensor& input,
                                                        const at::Tensor& weight, const ConvolutionSettings& settings,
                                                        bool needsInput, bool needsWeight);

/// The same, recorded by autograd where it records.
torch::autograd::variable_list recordedConvolutionGradients(const at::Tensor& gradient, const at::Tensor& input,
                                                            const at::Tensor& weight, const ConvolutionSettings& settings,
                                                            bool needsInput, bool needsWeight);

/// While one lives, the recorded weight gradients of this thread have shape and derivatives but zeros for values: second
/// derivatives do not ask for the values of the first, which are a third of a backward pass.
class WithoutWeightGradientValues {
 public:
  WithoutWeightGradientValues();
  ~WithoutWeightGradientValues();
  WithoutWeightGradientValues(const WithoutWeightGradientValues&) = delete;
  WithoutWeightGradientValues& operator=(const WithoutWeightGradientValues&) = delete;

 private:
  bool before_;
};

}  // namespace cohort
