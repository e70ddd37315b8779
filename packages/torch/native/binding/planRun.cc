#include "binding/planRun.h"

#include <ATen/ThreadLocalState.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <algorithm>
#include <exception>

#include "kernels/threadParts.h"

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

/// Some rows of a batch as a batch of their own, where one would lie: some matrix products round by the place of their numbers.
at::Tensor partOf(const at::Tensor& input, int64_t first, int64_t rows) {
  const at::Tensor alone = input.narrow(0, first, rows);
  return reinterpret_cast<uintptr_t>(alone.data_ptr()) % 64 == 0 ? alone : alone.clone();
}

/// Calls `each(part)` for every part, on so many threads; throws what the first part that failed threw.
template <typename Each>
void forParts(int64_t parts, int threads, const Each& each) {
  std::vector<std::exception_ptr> errors(static_cast<size_t>(parts));
  const at::ThreadLocalState state;
  const auto guarded = [&](int64_t part) {
    const at::ThreadLocalStateGuard same(state);
    try {
      each(part);
    } catch (...) {
      errors[static_cast<size_t>(part)] = std::current_exception();
    }
  };
  using Guarded = decltype(guarded);
  const auto call = [](const void* context, int64_t part) { (*static_cast<const Guarded*>(context))(part); };
  forEachPart(parts, threads, call, &guarded);
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
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

std::vector<at::Tensor> runPlan(const Plan& plan, const at::Tensor& input) {
  // Below autograd: nothing is to be recorded, and to look for it takes longer than a small operator.
  const at::AutoDispatchBelowADInplaceOrView below;
  const SingleThread single(plan.takesOneThread);
  std::vector<at::Tensor> computed(static_cast<size_t>(plan.numbers));
  computed[0] = input;
  for (const PlanStep& step : plan.steps) {
    take(step, computed);
    for (const int number : step.released) computed[static_cast<size_t>(number)] = at::Tensor();
  }
  std::vector<at::Tensor> outputs;
  for (const PlanTensor& output : plan.outputs) outputs.push_back(find(output, computed));
  return outputs;
}

std::vector<at::Tensor> runParts(const Plan& plan, const at::Tensor& input) {
  const int64_t rows = plan.sizes[0], parts = input.size(0) / rows;
  std::vector<std::vector<at::Tensor>> results(static_cast<size_t>(parts));
  const int threads = plan.takesOneThread ? static_cast<int>(std::min<int64_t>(at::get_num_threads(), parts)) : 1;
  forParts(parts, threads,
           [&](int64_t part) { results[static_cast<size_t>(part)] = runPlan(plan, partOf(input, part * rows, rows)); });
  std::vector<at::Tensor> joined;
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    std::vector<at::Tensor> pieces;
    for (const auto& outputs : results) pieces.push_back(outputs[i]);
    joined.push_back(at::cat(pieces, 0));
  }
  return joined;
}

}  // namespace cohort
