// Which way of computing a convolution is right here: the first use of a shape computes it from made-up numbers and compares
// a sample of the results with the definition. Verdicts are kept, and written to a file by the TypeScript side.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <shared_mutex>
#include <sstream>
#include <unordered_map>

#include "kernels/convolution/reference.h"
#include "kernels/convolution/routes.h"

namespace cohort {
namespace {

/// All that a library chooses its kernel by. Of the batch only whether it is one image or several.
enum Field {
  kPass, kType, kWeightType, kLayout, kWeightLayout, kIsDense, kBatch, kIn, kOut, kHeight, kWidth, kKernelHeight, kKernelWidth,
  kStrideY, kStrideX, kPaddingY, kPaddingX, kDilationY, kDilationX, kGroups, kFields
};
using Key = std::array<int32_t, kFields>;

struct KeyHash {
  size_t operator()(const Key& key) const {
    uint64_t hash = 1469598103934665603u;
    for (const int32_t field : key) hash = (hash ^ static_cast<uint32_t>(field)) * 1099511628211u;
    return static_cast<size_t>(hash);
  }
};

struct Verdict {
  ConvolutionRoute route;
  /// Of the usual route, as a share of the largest number.
  double error;
};

std::shared_mutex guard;
std::unordered_map<Key, Verdict, KeyHash>& known() {
  static auto* const verdicts = new std::unordered_map<Key, Verdict, KeyHash>();
  return *verdicts;
}

bool isCheckable(const at::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return tensor.device().is_cpu() && tensor.layout() == at::kStrided && tensor.dim() == 4 && tensor.numel() > 0 &&
         (type == at::kFloat || type == at::kDouble || type == at::kBFloat16);
}

Key keyOf(ConvolutionPass pass, const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings) {
  const auto format = input.suggest_memory_format();
  const auto number = [](int64_t value) { return static_cast<int32_t>(value); };
  return {number(static_cast<int>(pass)), number(static_cast<int>(input.scalar_type())),
          number(static_cast<int>(weight.scalar_type())), format == at::MemoryFormat::ChannelsLast,
          weight.suggest_memory_format() == at::MemoryFormat::ChannelsLast, input.is_contiguous(format),
          number(std::min<int64_t>(input.size(0), 2)), number(input.size(1)), number(weight.size(0)), number(input.size(2)),
          number(input.size(3)), number(weight.size(2)), number(weight.size(3)), number(settings.stride[0]),
          number(settings.stride[1]), number(settings.padding[0]), number(settings.padding[1]), number(settings.dilation[0]),
          number(settings.dilation[1]), number(settings.groups)};
}

/// Whether the definition applies; what it does not apply to, the library refuses in its own words.
bool describe(const Key& key, PlainConvolution& shape) {
  shape = {key[kBatch], key[kIn], key[kOut], key[kGroups], {key[kHeight], key[kWidth]}, {0, 0},
           {key[kKernelHeight], key[kKernelWidth]}, {key[kStrideY], key[kStrideX]}, {key[kPaddingY], key[kPaddingX]},
           {key[kDilationY], key[kDilationX]}};
  if (shape.groups < 1 || shape.inChannels % shape.groups != 0 || shape.outChannels % shape.groups != 0) return false;
  for (const int d : {0, 1}) {
    if (shape.stride[d] < 1 || shape.dilation[d] < 1 || shape.padding[d] < 0 || shape.kernel[d] < 1) return false;
    const int64_t room = shape.size[d] + 2 * shape.padding[d] - shape.dilation[d] * (shape.kernel[d] - 1) - 1;
    if (room < 0) return false;
    shape.outSize[d] = room / shape.stride[d] + 1;
  }
  return true;
}

uint64_t scrambled(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

/// Numbers in [-1, 1) that look random, of a few bits each, so that bfloat16 holds them exactly.
at::Tensor filled(at::IntArrayRef sizes, uint64_t seed) {
  const at::Tensor numbers = at::empty(sizes, at::TensorOptions().dtype(at::kDouble));
  double* const data = numbers.data_ptr<double>();
  for (int64_t i = 0; i < numbers.numel(); ++i) {
    const uint64_t random = scrambled(seed * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(i) + 1);
    data[i] = (static_cast<double>(random & 127) - 63.5) / 64;
  }
  return numbers;
}

at::Tensor stored(const at::Tensor& numbers, int32_t type, bool isChannelsLast, bool isDense) {
  const auto format = isChannelsLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  const at::Tensor dense = numbers.to(static_cast<at::ScalarType>(type)).contiguous(format);
  if (isDense) return dense;
  auto sizes = dense.sizes().vec();
  sizes[1] += 16;
  const at::Tensor wide = at::zeros(sizes, dense.options()).contiguous(format);
  return wide.narrow(1, 0, dense.size(1)).copy_(dense);
}

/// The largest difference in a sample of the results, as a share of the largest number in it; NaN where there is one.
template <typename Expected>
double errorOf(const at::Tensor& given, int64_t perNumber, const Expected& expected) {
  constexpr int64_t kProducts = 2'000'000, kFewest = 256, kMost = 8192;
  const at::Tensor numbers = given.to(at::kDouble).contiguous();
  const double* const data = numbers.data_ptr<double>();
  const int64_t count = numbers.numel();
  const int64_t wanted = std::min(kMost, std::max(kFewest, kProducts / std::max<int64_t>(1, perNumber)));
  const int64_t outer = numbers.size(0), channels = numbers.size(1), inner = count / outer / channels;
  double largest = 0, difference = 0;
  bool isNumber = true;
  for (int64_t i = 0; i < std::min(count, wanted); ++i) {
    int64_t index = i;
    if (count > wanted) {
      // Channel after channel, at scattered places, and often at an end of a map, where kernels have code of their own.
      const uint64_t random = scrambled(static_cast<uint64_t>(i) + 17);
      const auto place = static_cast<int64_t>(random >> 8);
      const int64_t spot = (random & 7) == 0 ? 0 : (random & 7) == 1 ? inner - 1 : place % inner;
      const int64_t first = outer > channels ? i % outer : place / inner % outer;
      const int64_t second = outer > channels ? place / inner % channels : i % channels;
      index = (first * channels + second) * inner + spot;
    }
    const double right = expected(index);
    largest = std::max(largest, std::abs(right));
    const double off = std::abs(data[index] - right);
    if (!(off <= 1e300)) isNumber = false;
    difference = std::max(difference, off);
  }
  if (!isNumber) return std::nan("");
  return largest == 0 ? difference : difference / largest;
}

/// Many times the rounding of the type, and a small part of what was ever seen of a wrong kernel.
double allowedError(int32_t type) {
  const auto scalar = static_cast<at::ScalarType>(type);
  return scalar == at::kBFloat16 ? 2e-2 : scalar == at::kFloat ? 2e-4 : 1e-9;
}

const char* const passNames[kConvolutionPasses] = {
    "forward", "gradient by the input", "gradient by the weight", "folded", "folded with a residual",
    "forward by ATen", "gradient by the input by ATen", "gradient by the weight by ATen"};

const char* typeName(int32_t type) {
  const auto scalar = static_cast<at::ScalarType>(type);
  return scalar == at::kBFloat16 ? "bfloat16" : scalar == at::kFloat ? "float32" : "float64";
}

std::string words(const Key& key) {
  std::ostringstream text;
  const auto pair = [&](const char* name, Field field) {
    text << ", " << name << " " << key[field] << "x" << key[field + 1];
  };
  text << passNames[key[kPass]] << ", " << typeName(key[kType]) << ", "
       << (key[kLayout] ? "channels-last" : "contiguous") << (key[kIsDense] ? "" : " with gaps") << ", " << key[kIn] << " to "
       << key[kOut] << " channels";
  pair("kernel", kKernelHeight);
  pair("maps", kHeight);
  if (key[kStrideY] != 1 || key[kStrideX] != 1) pair("stride", kStrideY);
  if (key[kDilationY] != 1 || key[kDilationX] != 1) pair("dilation", kDilationY);
  if (key[kGroups] != 1) text << ", " << key[kGroups] << " groups";
  return text.str();
}

/// What one route makes of made-up numbers, against the definition.
class Trial {
 public:
  Trial(const Key& key, const PlainConvolution& shape) : key_(key), shape_(shape) {
    input_ = filled({shape.batch, shape.inChannels, shape.size[0], shape.size[1]}, 1);
    weight_ = filled({shape.outChannels, shape.inChannels / shape.groups, shape.kernel[0], shape.kernel[1]}, 2);
    gradient_ = filled({shape.batch, shape.outChannels, shape.outSize[0], shape.outSize[1]}, 3);
    bias_ = filled({shape.outChannels}, 4);
    settings_ = {{shape.stride[0], shape.stride[1]}, {shape.padding[0], shape.padding[1]},
                 {shape.dilation[0], shape.dilation[1]}, shape.groups};
  }

  double errorBy(ConvolutionRoute route) const {
    const at::Tensor input = stored(input_, key_[kType], key_[kLayout], key_[kIsDense]);
    const at::Tensor weight = stored(weight_, key_[kWeightType], key_[kWeightLayout], true);
    const auto format = key_[kLayout] ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    const at::Tensor gradient = gradient_.to(input.scalar_type()).contiguous(format);
    const auto number = [](const at::Tensor& tensor) { return tensor.data_ptr<double>(); };
    const int64_t taps = shape_.kernel[0] * shape_.kernel[1];
    switch (static_cast<ConvolutionPass>(key_[kPass])) {
      case ConvolutionPass::kInputGradient:
      case ConvolutionPass::kLibraryInputGradient:
        return errorOf(inputGradientBy(route, gradient, input, weight, settings_),
                       shape_.outChannels / shape_.groups * taps,
                       [&](int64_t i) { return shape_.inputGradient(number(gradient_), number(weight_), i); });
      case ConvolutionPass::kWeightGradient:
      case ConvolutionPass::kLibraryWeightGradient:
        return errorOf(weightGradientBy(route, gradient, input, weight, settings_),
                       shape_.batch * shape_.outSize[0] * shape_.outSize[1],
                       [&](int64_t i) { return shape_.weightGradient(number(gradient_), number(input_), i); });
      case ConvolutionPass::kFolded:
        return folded(route, input, weight, {});
      case ConvolutionPass::kFoldedResidual:
        return folded(route, input, weight, gradient);
      default:
        return errorOf(convolveBy(route, input, weight, {}, settings_), shape_.inChannels / shape_.groups * taps,
                       [&](int64_t i) { return shape_.output(number(input_), number(weight_), i); });
    }
  }

 private:
  /// The composed way is the library's route here, since a convolution by itself is checked on its own.
  double folded(ConvolutionRoute route, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& residual) const {
    if (route != ConvolutionRoute::kUsual) return 0;
    const OptionalTensor shortcut = residual.defined() ? OptionalTensor(residual) : OptionalTensor();
    const at::Tensor bias = bias_.to(weight.scalar_type());
    const at::Tensor output = usualFolded(input, weight, bias, shortcut, true, settings_);
    if (!output.defined()) return 0;
    return errorOf(output, shape_.inChannels / shape_.groups * shape_.kernel[0] * shape_.kernel[1], [&](int64_t i) {
      const int64_t channel = i / (shape_.outSize[0] * shape_.outSize[1]) % shape_.outChannels;
      double sum = shape_.output(input_.data_ptr<double>(), weight_.data_ptr<double>(), i) + bias_.data_ptr<double>()[channel];
      if (residual.defined()) sum += gradient_.data_ptr<double>()[i];
      return std::max(sum, 0.0);
    });
  }

  Key key_;
  PlainConvolution shape_;
  ConvolutionSettings settings_;
  at::Tensor input_, weight_, gradient_, bias_;
};

Verdict judge(const Key& key, const PlainConvolution& shape) {
  const at::NoGradGuard noGrad;
  const Trial trial(key, shape);
  const bool isLibrary = key[kPass] >= static_cast<int>(ConvolutionPass::kLibraryForward);
  const double allowed = allowedError(key[kType]);
  double firstError = 0;
  for (int route = isLibrary ? 1 : 0; route < kConvolutionRoutes; ++route) {
    const double error = trial.errorBy(static_cast<ConvolutionRoute>(route));
    if (route == (isLibrary ? 1 : 0)) firstError = error;
    if (error <= allowed) return {static_cast<ConvolutionRoute>(route), firstError};
    if (isLibrary) break;
  }
  return {ConvolutionRoute::kNone, firstError};
}

Verdict verdictOf(const Key& key) {
  {
    const std::shared_lock<std::shared_mutex> lock(guard);
    const auto found = known().find(key);
    if (found != known().end()) return found->second;
  }
  PlainConvolution shape;
  if (!describe(key, shape)) return {ConvolutionRoute::kUsual, 0};
  const Verdict verdict = judge(key, shape);
  const std::unique_lock<std::shared_mutex> lock(guard);
  known().emplace(key, verdict);
  return verdict;
}

}  // namespace

ConvolutionRoute convolutionRoute(ConvolutionPass pass, const at::Tensor& input, const at::Tensor& weight,
                                  const ConvolutionSettings& settings) {
  if (!isCheckable(input) || !isCheckable(weight)) return ConvolutionRoute::kUsual;
  const Key key = keyOf(pass, input, weight, settings);
  const Verdict verdict = verdictOf(key);
  if (verdict.route == ConvolutionRoute::kNone) {
    throw ArithmeticFault("this LibTorch computes this convolution wrongly in every way that was tried (" + words(key) +
                          "; off by " + std::to_string(verdict.error * 100) +
                          " %). Use another LibTorch; \"cohort doctor\" shows what is wrong with this one");
  }
  return verdict.route;
}

bool isLibraryRight(const at::Tensor& input, const at::Tensor& weight, const ConvolutionSettings& settings) {
  if (!isCheckable(input) || !isCheckable(weight)) return true;
  for (const auto pass : {ConvolutionPass::kLibraryForward, ConvolutionPass::kLibraryInputGradient,
                          ConvolutionPass::kLibraryWeightGradient}) {
    if (verdictOf(keyOf(pass, input, weight, settings)).route == ConvolutionRoute::kNone) return false;
  }
  return true;
}

std::string convolutionVerdicts() {
  const std::shared_lock<std::shared_mutex> lock(guard);
  std::ostringstream text;
  for (const auto& [key, verdict] : known()) {
    for (const int32_t field : key) text << field << " ";
    const int route = static_cast<int>(verdict.route);
    text << "\t" << (route < kConvolutionRoutes ? convolutionRouteNames[route] : "none") << "\t" << verdict.error << "\t" << words(key)
         << "\n";
  }
  return text.str();
}

void trustConvolutionVerdicts(const std::string& lines) {
  std::istringstream text(lines);
  const std::unique_lock<std::shared_mutex> lock(guard);
  for (std::string line; std::getline(text, line);) {
    std::istringstream fields(line);
    Key key;
    bool isWhole = true;
    for (int32_t& field : key) isWhole = isWhole && static_cast<bool>(fields >> field);
    std::string route;
    double error = 0;
    if (!isWhole || !(fields >> route) || key[kPass] < 0 || key[kPass] >= kConvolutionPasses) continue;
    fields >> error;
    for (int i = 0; i < kConvolutionRoutes; ++i) {
      if (route == convolutionRouteNames[i]) known().emplace(key, Verdict{static_cast<ConvolutionRoute>(i), error});
    }
  }
}

}  // namespace cohort
