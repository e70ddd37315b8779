// ATen 1.13 reaches oneDNN's convolution only without its post-operations: addition and ReLU would each be another pass
// over a map that has just left the cache. Called directly, they happen while the result is still in registers.
#include "kernels/convolution/onednnConvolution.h"

#ifdef COHORT_ONEDNN

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dnnl.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <unordered_map>

#include "kernels/convolution/preparedConvolution.h"
#include "kernels/optionalTensor.h"

namespace cohort {
namespace {

using dnnl::memory;

/// What oneDNN prepared for one shape; made once a thread.
struct OnednnPrepared {
  bool isFast = false;
  dnnl::convolution_forward convolution;
  dnnl::reorder reorder;
  memory::desc input, weight, packedWeight, bias, output, scratch;
};

const dnnl::engine& processor() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::data_type typeOf(at::ScalarType type) {
  return type == at::kBFloat16 ? memory::data_type::bf16 : memory::data_type::f32;
}

/// Where the elements lie, whatever ATen calls the format.
memory::desc describe(const at::Tensor& tensor) {
  return memory::desc(tensor.sizes().vec(), typeOf(tensor.scalar_type()), tensor.strides().vec());
}

/// `[O, I, H, W]`, with the groups in front where there are several: `[G, O / G, I, H, W]`.
memory::desc describeWeight(const at::Tensor& weight, int64_t groups) {
  if (groups == 1) return describe(weight);
  memory::dims sizes{groups, weight.size(0) / groups, weight.size(1), weight.size(2), weight.size(3)};
  memory::dims strides{weight.stride(0) * sizes[1], weight.stride(0), weight.stride(1), weight.stride(2), weight.stride(3)};
  return memory::desc(sizes, typeOf(weight.scalar_type()), strides);
}

OnednnPrepared prepare(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& output,
                 const OptionalTensor& residual, bool rectifies, const ConvolutionSettings& settings) {
  OnednnPrepared prepared;
  prepared.input = describe(input);
  prepared.weight = describeWeight(weight, settings.groups);
  prepared.bias = describe(bias);
  prepared.output = describe(output);
  dnnl::post_ops after;
  if (residual.has_value()) after.append_binary(dnnl::algorithm::binary_add, describe(*residual));
  if (rectifies) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(after);
  // Of the caller, since oneDNN's own belongs to the thread that prepared the convolution.
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const memory::desc anyWeight(prepared.weight.dims(), prepared.weight.data_type(), memory::format_tag::any);
  // oneDNN counts a dilation of one as zero.
  const memory::dims dilation{settings.dilation[0] - 1, settings.dilation[1] - 1};
  const dnnl::convolution_forward::desc description(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, prepared.input, anyWeight, prepared.bias,
      prepared.output, settings.stride, dilation, settings.padding, settings.padding);
  const dnnl::convolution_forward::primitive_desc primitive(description, attributes, processor(), /*allow_empty=*/true);
  if (!primitive) return prepared;
  const std::string name = primitive.impl_info_str();
  // Its reference loops take all arguments, and are a hundred times slower than ATen's way.
  if (name.rfind("jit", 0) != 0 && name.rfind("brg", 0) != 0) return prepared;
  prepared.convolution = dnnl::convolution_forward(primitive);
  prepared.packedWeight = primitive.weights_desc();
  prepared.scratch = primitive.scratchpad_desc();
  prepared.reorder = dnnl::reorder(
      dnnl::reorder::primitive_desc(processor(), prepared.weight, processor(), prepared.packedWeight));
  prepared.isFast = true;
  return prepared;
}

/// How many threads oneDNN may use now: beside other loops that share the cores, one.
int threadsHere() { return at::in_parallel_region() ? 1 : at::get_num_threads(); }

/// Everything that a prepared convolution depends on; oneDNN shares its work out when it is prepared.
std::string keyOf(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const OptionalTensor& residual,
                  bool rectifies, const ConvolutionSettings& settings) {
  std::string key;
  const auto add = [&](int64_t value) { key.append(reinterpret_cast<const char*>(&value), sizeof value); };
  const auto addTensor = [&](const at::Tensor& tensor) {
    add(static_cast<int64_t>(tensor.scalar_type()));
    for (const int64_t size : tensor.sizes()) add(size);
    for (const int64_t stride : tensor.strides()) add(stride);
  };
  addTensor(input);
  addTensor(weight);
  addTensor(bias);
  add(residual.has_value() ? 1 : 0);
  if (residual.has_value()) addTensor(*residual);
  for (const auto* pair : {&settings.stride, &settings.padding, &settings.dilation}) {
    for (const int64_t value : *pair) add(value);
  }
  add(settings.groups);
  add(rectifies ? 1 : 0);
  add(threadsHere());
  return key;
}

bool suitsOnednn(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.layout() == at::kStrided && tensor.has_storage() &&
         (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16) && !tensor.is_neg() &&
         !tensor._is_zerotensor() && tensor.numel() > 0;
}

/// Shapes of images differ from batch to batch at most once in a split; more than this come from a program that varies them.
constexpr size_t mostPrepared = 512;

/// The sizes of the result; empty where oneDNN cannot be called directly with these tensors.
std::vector<int64_t> outputSizes(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                                 const OptionalTensor& residual, const ConvolutionSettings& settings) {
  if (!at::globalContext().userEnabledMkldnn()) return {};
  if (!suitsOnednn(input) || !suitsOnednn(weight) || !suitsOnednn(bias) || input.dim() != 4 || weight.dim() != 4 ||
      bias.dim() != 1 || bias.size(0) != weight.size(0) || input.size(1) != weight.size(1) * settings.groups ||
      weight.scalar_type() != input.scalar_type() || weight.size(0) % settings.groups != 0) {
    return {};
  }
  const auto format = input.suggest_memory_format();
  if (!input.is_contiguous(format)) return {};
  std::vector<int64_t> sizes{input.size(0), weight.size(0), 0, 0};
  for (const int dimension : {0, 1}) {
    const int64_t span = settings.dilation[dimension] * (weight.size(2 + dimension) - 1) + 1;
    const int64_t room = input.size(2 + dimension) + 2 * settings.padding[dimension] - span;
    if (room < 0) return {};
    sizes[2 + dimension] = room / settings.stride[dimension] + 1;
  }
  if (residual.has_value() && (!suitsOnednn(*residual) || residual->sizes() != at::IntArrayRef(sizes) ||
                               residual->scalar_type() != input.scalar_type() || !residual->is_contiguous(format))) {
    return {};
  }
  return sizes;
}

dnnl::stream& ownStream() {
  thread_local dnnl::stream stream(processor());
  return stream;
}

at::Tensor packWeight(const OnednnPrepared& prepared, const at::Tensor& weight) {
  const at::Tensor packed =
      at::empty({static_cast<int64_t>(prepared.packedWeight.get_size())}, at::TensorOptions().dtype(at::kByte));
  memory packedWeight(prepared.packedWeight, processor(), packed.data_ptr());
  memory plainWeight(prepared.weight, processor(), weight.data_ptr());
  prepared.reorder.execute(ownStream(), plainWeight, packedWeight);
  return packed;
}

constexpr int kResidual = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;

std::unordered_map<int, memory> argumentsFor(const OnednnPrepared& prepared, const at::Tensor& packed, const at::Tensor& bias,
                                             bool hasResidual) {
  std::unordered_map<int, memory> arguments{
      {DNNL_ARG_SRC, memory(prepared.input, processor(), nullptr)},
      {DNNL_ARG_WEIGHTS, memory(prepared.packedWeight, processor(), packed.data_ptr())},
      {DNNL_ARG_BIAS, memory(prepared.bias, processor(), bias.data_ptr())},
      {DNNL_ARG_DST, memory(prepared.output, processor(), nullptr)},
      {DNNL_ARG_SCRATCHPAD, memory(prepared.scratch, processor(), nullptr)},
  };
  if (hasResidual) arguments.emplace(kResidual, memory(prepared.output, processor(), nullptr));
  return arguments;
}

void execute(const OnednnPrepared& prepared, std::unordered_map<int, memory>& arguments, const at::Tensor& input,
             const OptionalTensor& residual, const at::Tensor& output) {
  const auto scratchBytes = static_cast<int64_t>(prepared.scratch.get_size());
  const at::Tensor scratch = scratchBytes == 0 ? at::Tensor() : at::empty({scratchBytes}, at::TensorOptions().dtype(at::kByte));
  if (scratch.defined()) arguments.at(DNNL_ARG_SCRATCHPAD).set_data_handle(scratch.data_ptr());
  arguments.at(DNNL_ARG_SRC).set_data_handle(input.data_ptr());
  arguments.at(DNNL_ARG_DST).set_data_handle(output.data_ptr());
  if (residual.has_value()) arguments.at(kResidual).set_data_handle(residual->data_ptr());
  prepared.convolution.execute(ownStream(), arguments);
  ownStream().wait();
}

/// For inputs of one shape and one number of threads.
class PreparedOnednn : public PreparedConvolution {
 public:
  PreparedOnednn(OnednnPrepared prepared, std::vector<int64_t> sizes, const at::Tensor& input, const OptionalTensor& residual,
                 const FoldedArguments& folded)
      : prepared_(std::move(prepared)),
        sizes_(std::move(sizes)),
        like_(input.sizes().vec()),
        type_(input.scalar_type()),
        format_(input.suggest_memory_format()),
        bias_(folded.bias),
        packed_(packWeight(prepared_, folded.weight)),
        threads_(threadsHere()),
        hasResidual_(isGiven(residual)) {}

  at::Tensor run(const at::Tensor& input, const OptionalTensor& residual) override {
    if (threadsHere() != threads_ || isGiven(residual) != hasResidual_ ||
        !isLike(input, like_) || (hasResidual_ && !isLike(*residual, sizes_))) {
      return {};
    }
    const at::Tensor output = at::empty(sizes_, input.options().requires_grad(false), format_);
    auto arguments = takeArguments();
    execute(prepared_, *arguments, input, residual, output);
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(arguments));
    return output;
  }

 private:
  using Arguments = std::unordered_map<int, memory>;

  /// Those that no thread uses now: to make them takes longer than a small convolution should.
  std::unique_ptr<Arguments> takeArguments() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!idle_.empty()) {
        auto taken = std::move(idle_.back());
        idle_.pop_back();
        return taken;
      }
    }
    return std::make_unique<Arguments>(argumentsFor(prepared_, packed_, bias_, hasResidual_));
  }

  bool isLike(const at::Tensor& tensor, const std::vector<int64_t>& sizes) const {
    return suitsOnednn(tensor) && tensor.scalar_type() == type_ && tensor.sizes() == at::IntArrayRef(sizes) &&
           tensor.is_contiguous(format_);
  }

  OnednnPrepared prepared_;
  std::vector<int64_t> sizes_;
  std::vector<int64_t> like_;
  at::ScalarType type_;
  at::MemoryFormat format_;
  at::Tensor bias_;
  at::Tensor packed_;
  int threads_;
  bool hasResidual_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Arguments>> idle_;
};

}  // namespace

std::shared_ptr<PreparedConvolution> prepareOnednn(const at::Tensor& input, const OptionalTensor& residual,
                                                   const FoldedArguments& folded) {
  const auto& [weight, bias, rectifies, settings] = folded;
  const std::vector<int64_t> sizes = outputSizes(input, weight, bias, residual, settings);
  if (sizes.empty()) return nullptr;
  const at::Tensor output = at::empty(sizes, input.options().requires_grad(false), input.suggest_memory_format());
  OnednnPrepared prepared = prepare(input, weight, bias, output, residual, rectifies, settings);
  if (!prepared.isFast) return nullptr;
  return std::make_shared<PreparedOnednn>(std::move(prepared), sizes, input, residual, folded);
}

at::Tensor onednnConvolution(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                             const OptionalTensor& residual, bool rectifies, const ConvolutionSettings& settings) {
  const std::vector<int64_t> sizes = outputSizes(input, weight, bias, residual, settings);
  if (sizes.empty()) return {};
  const at::Tensor output = at::empty(sizes, input.options().requires_grad(false), input.suggest_memory_format());

  thread_local std::unordered_map<std::string, OnednnPrepared> known;
  if (known.size() > mostPrepared) known.clear();
  const auto [entry, isNew] = known.try_emplace(keyOf(input, weight, bias, residual, rectifies, settings));
  OnednnPrepared& prepared = entry->second;
  if (isNew) prepared = prepare(input, weight, bias, output, residual, rectifies, settings);
  if (!prepared.isFast) return {};

  const at::Tensor packed = packWeight(prepared, weight);
  auto arguments = argumentsFor(prepared, packed, bias, residual.has_value());
  execute(prepared, arguments, input, residual, output);
  return output;
}

}  // namespace cohort

#else

#include "kernels/convolution/preparedConvolution.h"

namespace cohort {

at::Tensor onednnConvolution(const at::Tensor&, const at::Tensor&, const at::Tensor&, const c10::optional<at::Tensor>&, bool,
                             const ConvolutionSettings&) {
  return {};
}

std::shared_ptr<PreparedConvolution> prepareOnednn(const at::Tensor&, const OptionalTensor&, const FoldedArguments&) {
  return nullptr;
}

}  // namespace cohort

#endif
