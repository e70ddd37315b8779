// Records plans, and what JavaScript may ask of them.
#include "binding/plan.h"

#include <ATen/core/LegacyTypeDispatch.h>

#include <algorithm>
#include <functional>

#include "binding/autocast.h"
#include "binding/planRun.h"

namespace cohort {
namespace {

/// Some 50 microseconds of one core's work; waking the others takes a tenth of that on an idle machine, and far longer on a
/// busy one.
constexpr int64_t kSmallMultiplyAdds = 6'000'000;

constexpr const char* kFolded = "cohort::folded_convolution";

/// Where nothing is recorded by autograd or converted on the way: the state that plans are made and run in.
bool isPlainState() { return !at::GradMode::is_enabled() && !isAutocast(); }

bool isPlannable(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().is_cpu() && tensor.layout() == at::kStrided && !tensor.is_quantized() &&
         !tensor.is_conj() && !tensor.is_neg() && !tensor._is_zerotensor();
}

OptionalTensor optionalOf(const c10::IValue& value) {
  return value.isTensor() && value.toTensor().defined() ? OptionalTensor(value.toTensor()) : OptionalTensor();
}

FoldedArguments foldedOf(const torch::jit::Stack& stack) {
  return {stack[1].toTensor(), stack[2].toTensor(), stack[4].toBool(),
          {stack[5].toIntVector(), stack[6].toIntVector(), stack[7].toIntVector(), stack[8].toInt()}};
}

bool areSame(const FoldedArguments& left, const FoldedArguments& right) {
  return left.weight.is_same(right.weight) && left.bias.is_same(right.bias) && left.rectifies == right.rectifies &&
         left.settings.stride == right.settings.stride && left.settings.padding == right.settings.padding &&
         left.settings.dilation == right.settings.dilation && left.settings.groups == right.settings.groups;
}

bool isFor(const Plan& plan, const at::Tensor& input) {
  return input.scalar_type() == plan.type && input.sizes() == at::IntArrayRef(plan.sizes) &&
         input.strides() == at::IntArrayRef(plan.strides) && isPlannable(input);
}

/// Every step's `released`: what it is the last to need, but for outputs.
void findLastUses(Plan& plan) {
  std::vector<bool> isNeeded(static_cast<size_t>(plan.numbers));
  for (const PlanTensor& output : plan.outputs) {
    if (output.number >= 0) isNeeded[static_cast<size_t>(output.number)] = true;
  }
  for (auto step = plan.steps.rbegin(); step != plan.steps.rend(); ++step) {
    const auto release = [&](int number) {
      if (number < 0 || isNeeded[static_cast<size_t>(number)]) return;
      isNeeded[static_cast<size_t>(number)] = true;
      step->released.push_back(number);
    };
    for (const auto& numbers : step->results) {
      for (const int number : numbers) release(number);
    }
    for (const auto& argument : step->tensors) {
      for (const PlanTensor& tensor : argument.tensors) release(tensor.number);
    }
  }
}

}  // namespace

std::shared_ptr<PreparedConvolution> SharedConvolutions::find(const at::Tensor& input, const OptionalTensor& residual,
                                                              const FoldedArguments& folded) {
  auto& entries = entries_[folded.weight.unsafeGetTensorImpl()];
  for (const Entry& entry : entries) {
    if (areSame(entry.folded, folded) && entry.prepared->run(input, residual).defined()) return entry.prepared;
  }
  const auto prepared = prepareConvolution(input, residual, folded);
  if (prepared != nullptr) entries.push_back({folded, prepared});
  return prepared;
}

PlanRecorder::PlanRecorder(const at::Tensor& input)
    : plan_{input.sizes().vec(), input.strides().vec(), input.scalar_type(), 0, {}, {}, false} {
  isRefused_ = !isPlannable(input);
  numberOf(input);
}

int PlanRecorder::numberOf(const at::Tensor& tensor) {
  const auto [entry, isNew] = numbers_.try_emplace(tensor.unsafeGetTensorImpl(), plan_.numbers);
  if (isNew) {
    plan_.numbers += 1;
    seen_.emplace_back(tensor.getIntrusivePtr());
  }
  return entry->second;
}

PlanTensor PlanRecorder::tensorOf(const at::Tensor& tensor) const {
  const auto found = numbers_.find(tensor.unsafeGetTensorImpl());
  return found == numbers_.end() ? PlanTensor{-1, tensor} : PlanTensor{found->second, {}};
}

void PlanRecorder::add(const Operator& op, const Overload& overload, const torch::jit::Stack& arguments,
                       const torch::jit::Stack& results) {
  if (isRefused_) return;
  // A convolution of ATen's own may be led around what this machine computes wrongly.
  if (op.isConvolution) isRefused_ = true;
  PlanStep step{&op, &overload, arguments, {}, {}, {}, nullptr};
  for (size_t place = 0; place < arguments.size(); ++place) {
    const c10::IValue& value = arguments[place];
    if (value.isTensor()) {
      if (!value.toTensor().defined()) continue;
      step.tensors.push_back({place, false, {tensorOf(value.toTensor())}});
      step.arguments[place] = c10::IValue();
    } else if (value.isTensorList()) {
      PlanStep::Argument list{place, true, {}};
      for (const at::Tensor& tensor : value.toTensorVector()) list.tensors.push_back(tensorOf(tensor));
      step.tensors.push_back(std::move(list));
      step.arguments[place] = c10::IValue();
    } else if (value.isGenerator() || (value.isList() && !value.isIntList() && !value.isDoubleList() && !value.isBoolList())) {
      isRefused_ = true;
    }
  }
  for (const c10::IValue& value : results) {
    std::vector<int> numbers;
    if (value.isTensor() && value.toTensor().defined()) {
      // What is written in place but was not computed here would change for good.
      const bool isOwn = numbers_.count(value.toTensor().unsafeGetTensorImpl()) > 0;
      for (const auto& argument : step.tensors) {
        for (const PlanTensor& tensor : argument.tensors) {
          if (!isOwn && tensor.number < 0 && tensor.constant.is_same(value.toTensor())) isRefused_ = true;
        }
      }
      isRefused_ = isRefused_ || !isPlannable(value.toTensor());
      numbers.push_back(numberOf(value.toTensor()));
    } else if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) {
        isRefused_ = isRefused_ || !isPlannable(tensor);
        numbers.push_back(numberOf(tensor));
      }
    } else if (!value.isNone()) {
      // A number left the engine: what comes next may depend on it.
      isRefused_ = true;
    }
    step.results.push_back(std::move(numbers));
  }
  if (op.name == kFolded && !isRefused_) {
    const at::Tensor weight = arguments[1].toTensor();
    mostMultiplyAdds_ =
        std::max(mostMultiplyAdds_, results[0].toTensor().numel() * weight.numel() / std::max<int64_t>(1, weight.size(0)));
  }
  plan_.steps.push_back(std::move(step));
}

bool PlanRecorder::finish(const std::vector<at::Tensor>& outputs, PlanSet& set) {
  for (const at::Tensor& output : outputs) {
    plan_.outputs.push_back(tensorOf(output));
    // A tensor that the plan does not compute may be any: what a caller wrote into it, for example.
    isRefused_ = isRefused_ || plan_.outputs.back().number < 1;
  }
  if (isRefused_ || plan_.steps.empty()) return false;
  plan_.takesOneThread = set.takeOneThread || mostMultiplyAdds_ <= kSmallMultiplyAdds;
  findLastUses(plan_);
  // A first run with real numbers, to lay weights out for the inputs that they will see.
  const SingleThread single(plan_.takesOneThread);
  const at::AutoDispatchBelowADInplaceOrView below;
  std::vector<at::Tensor> computed(static_cast<size_t>(plan_.numbers));
  computed[0] = at::empty_strided(plan_.sizes, plan_.strides, at::TensorOptions().dtype(plan_.type)).zero_();
  for (PlanStep& step : plan_.steps) {
    const torch::jit::Stack stack = argumentsOf(step, computed);
    if (step.op->name == kFolded) {
      step.prepared = set.convolutions.find(stack[0].toTensor(), optionalOf(stack[3]), foldedOf(stack));
      step.isShared = step.prepared != nullptr && step.prepared->gainsFromBatches(stack[0].toTensor());
    }
    take(step, computed);
    for (const int number : step.released) computed[static_cast<size_t>(number)] = at::Tensor();
  }
  set.plans.push_back(std::move(plan_));
  return true;
}

namespace {

/// newPlans(takeOneThread): see `PlanSet`.
napi_value newPlans(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    return toNumber(env, environment.plans.add(std::make_shared<PlanSet>(PlanSet{arguments.boolean(0), {}, {}})));
  });
}

napi_value releasePlans(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    environment.plans.release(arguments.number(0));
    return toBoolean(env, true);
  });
}

/// recordPlan(input): notes every operator until `finishPlan`; false where no plan can be made now.
napi_value recordPlan(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const at::Tensor& input = environment.tensor(arguments.number(0));
    const bool isPossible = environment.recorder == nullptr && isPlainState() && environment.device.is_cpu();
    if (isPossible) environment.recorder = std::make_shared<PlanRecorder>(input);
    return toBoolean(env, isPossible);
  });
}

/// finishPlan(plans): buffer in [count, outputs...]; with no count the recording is thrown away. Whether there is a plan.
napi_value finishPlan(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const auto recorder = std::move(environment.recorder);
    environment.recorder = nullptr;
    const auto count = static_cast<size_t>(environment.buffer[0]);
    if (recorder == nullptr || count == 0) return toBoolean(env, false);
    std::vector<at::Tensor> outputs;
    for (size_t i = 0; i < count; ++i) outputs.push_back(environment.tensor(environment.buffer[1 + i]));
    return toBoolean(env, recorder->finish(outputs, *environment.plans.get(arguments.number(0))));
  });
}

/// dropPlan(plans): forgets the newest plan.
napi_value dropPlan(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    environment.plans.get(arguments.number(0))->plans.pop_back();
    return toBoolean(env, true);
  });
}

/// Buffer out [outputs...] of the first plan that is for `like`, as `run` gives them; the number of the plan, or -1 where none
/// is for such an input or something is recorded now.
napi_value runFirst(napi_env env, Environment& environment, const PlanSet& set, const at::Tensor& like,
                    const std::function<std::vector<at::Tensor>(const Plan&)>& run) {
  if (environment.recorder != nullptr || !isPlainState()) return toNumber(env, -1);
  for (size_t i = 0; i < set.plans.size(); ++i) {
    if (!isFor(set.plans[i], like)) continue;
    const std::vector<at::Tensor> outputs = run(set.plans[i]);
    for (size_t j = 0; j < outputs.size(); ++j) environment.buffer[j] = environment.addTensor(outputs[j]);
    return toNumber(env, static_cast<double>(i));
  }
  return toNumber(env, -1);
}

/// runPlan(plans, input): see `runFirst`.
napi_value runPlanOnce(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const PlanSet& set = *environment.plans.get(arguments.number(0));
    const at::Tensor input = environment.tensor(arguments.number(1));
    return runFirst(env, environment, set, input, [&](const Plan& plan) { return runPlan(plan, input); });
  });
}

/// runPlanParts(plans, input, rows): the plan for so many rows, for all parts of the input, which has a multiple of them; see
/// `runFirst`. Outputs are joined along their first dimension.
napi_value runPlanParts(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const PlanSet& set = *environment.plans.get(arguments.number(0));
    const at::Tensor input = environment.tensor(arguments.number(1));
    const auto rows = static_cast<int64_t>(arguments.number(2));
    if (!isPlannable(input) || input.dim() == 0 || input.numel() == 0) return toNumber(env, -1);
    if (rows < 1 || input.size(0) % rows != 0) {
      throw ArgumentError("native call: " + std::to_string(input.size(0)) + " rows are no parts of " + std::to_string(rows));
    }
    return runFirst(env, environment, set, input.narrow(0, 0, rows), [&](const Plan& plan) { return runParts(plan, input); });
  });
}

}  // namespace

void registerPlans(napi_env env, napi_value exports) {
  exportFunction(env, exports, "newPlans", newPlans);
  exportFunction(env, exports, "releasePlans", releasePlans);
  exportFunction(env, exports, "recordPlan", recordPlan);
  exportFunction(env, exports, "finishPlan", finishPlan);
  exportFunction(env, exports, "dropPlan", dropPlan);
  exportFunction(env, exports, "runPlan", runPlanOnce);
  exportFunction(env, exports, "runPlanParts", runPlanParts);
}

}  // namespace cohort
