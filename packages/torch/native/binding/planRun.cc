#include "binding/planRun.h"

#include <ATen/core/LegacyTypeDispatch.h>

namespace cohort {
namespace {

const at::Tensor& find(const PlanTensor& tensor, const std::vector<at::Tensor>& computed) {
  return tensor.number < 0 ? tensor.constant : computed[static_cast<size_t>(tensor.number)];
}

void keepResults(const PlanStep& step, torch::jit::Stack& stack, std::vector<at::Tensor>& computed) {
  for (size_t i = 0; i < stack.size(); ++i) {
    const std::vector<int>& numbers = step.results[i];
    if (numbers.empty()) continue;
    if (stack[i].isTensor()) {
      computed[static_cast<size_t>(numbers[0])] = std::move(stack[i]).toTensor();
      continue;
    }
    const auto list = stack[i].toTensorVector();
    for (size_t j = 0; j < list.size(); ++j) computed[static_cast<size_t>(numbers[j])] = list[j];
  }
}

}  // namespace

torch::jit::Stack argumentsOf(const PlanStep& step, const std::vector<at::Tensor>& computed) {
  torch::jit::Stack stack = step.arguments;
  for (const auto& [place, isList, tensors] : step.tensors) {
    if (!isList) {
      stack[place] = find(tensors[0], computed);
      continue;
    }
    c10::List<at::Tensor> list;
    list.reserve(tensors.size());
    for (const PlanTensor& tensor : tensors) list.push_back(find(tensor, computed));
    stack[place] = std::move(list);
  }
  return stack;
}

void take(const PlanStep& step, std::vector<at::Tensor>& computed) {
  if (step.prepared != nullptr) {
    const auto tensorAt = [&](size_t place) -> OptionalTensor {
      for (const auto& argument : step.tensors) {
        if (argument.place == place) return find(argument.tensors[0], computed);
      }
      return {};
    };
    const at::Tensor output = step.prepared->run(*tensorAt(0), tensorAt(3));
    if (output.defined()) {
      computed[static_cast<size_t>(step.results[0][0])] = output;
      return;
    }
  }
  torch::jit::Stack stack = argumentsOf(step, computed);
  if (step.op->guard) step.op->guard(*step.overload->schema, stack);
  step.overload->handle.callBoxed(&stack);
  keepResults(step, stack, computed);
}

void takeSteps(const Plan& plan, size_t first, size_t last, std::vector<at::Tensor>& computed) {
  for (size_t i = first; i < last; ++i) {
    take(plan.steps[i], computed);
    for (const int number : plan.steps[i].released) computed[static_cast<size_t>(number)] = at::Tensor();
  }
}

std::vector<at::Tensor> runPlan(const Plan& plan, const at::Tensor& input) {
  // Below autograd: nothing is to be recorded, and to look for it takes longer than a small operator.
  const at::AutoDispatchBelowADInplaceOrView below;
  const SingleThread single(plan.takesOneThread);
  std::vector<at::Tensor> computed(static_cast<size_t>(plan.numbers));
  computed[0] = input;
  takeSteps(plan, 0, plan.steps.size(), computed);
  std::vector<at::Tensor> outputs;
  for (const PlanTensor& output : plan.outputs) outputs.push_back(find(output, computed));
  return outputs;
}

}  // namespace cohort
