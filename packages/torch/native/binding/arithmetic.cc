// Verdicts on this machine's arithmetic, to and from the TypeScript side, and ATen's convolutions led around what is wrong.
#include "binding/arguments.h"
#include "binding/autocast.h"
#include "kernels/convolution/routes.h"

namespace cohort {
namespace {

napi_value verdicts(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments&) { return toString(env, convolutionVerdicts()); });
}

napi_value trustVerdicts(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    trustConvolutionVerdicts(arguments.string(0));
    return toBoolean(env, true);
  });
}

std::vector<int64_t> pairOf(const c10::IValue& value) {
  auto list = value.toIntVector();
  if (list.size() == 1) list.push_back(list[0]);
  return list;
}

}  // namespace

bool leadAround(const std::string& name, const c10::FunctionSchema& schema, torch::jit::Stack& stack) {
  const bool isGeneral = name == "aten::convolution";
  if (!isGeneral && name != "aten::conv2d") return false;
  if (schema.overload_name() != "" || stack.size() != (isGeneral ? 9u : 7u) || (isGeneral && stack[6].toBool())) return false;
  if (!stack[0].isTensor() || !stack[1].isTensor()) return false;
  const at::Tensor input = stack[0].toTensor(), weight = stack[1].toTensor();
  if (!input.defined() || !weight.defined() || input.dim() != 4 || weight.dim() != 4 || !input.device().is_cpu()) return false;
  const ConvolutionSettings settings{pairOf(stack[3]), pairOf(stack[4]), pairOf(stack[5]),
                                     stack[isGeneral ? 8 : 6].toInt()};
  if (settings.stride.size() != 2 || settings.padding.size() != 2 || settings.dilation.size() != 2) return false;
  const auto narrow = [&](const at::Tensor& tensor) {
    return isAutocast() ? at::empty_like(tensor, tensor.options().dtype(at::kBFloat16).requires_grad(false)) : tensor;
  };
  if (isLibraryRight(narrow(input), narrow(weight), settings)) return false;
  static const auto around = c10::Dispatcher::singleton().findSchemaOrThrow("cohort::convolution2d", "");
  torch::jit::Stack other{stack[0], stack[1], stack[2], settings.stride, settings.padding, settings.dilation, settings.groups};
  around.callBoxed(&other);
  stack = std::move(other);
  return true;
}

void registerArithmetic(napi_env env, napi_value exports) {
  exportFunction(env, exports, "verdicts", verdicts);
  exportFunction(env, exports, "trustVerdicts", trustVerdicts);
}

}  // namespace cohort
