// Runs a plan for parts of a batch, in groups: steps that gain from it take a group at once, all others one part after the other.
#include <ATen/ThreadLocalState.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <algorithm>
#include <exception>

#include "binding/planRun.h"
#include "kernels/threadParts.h"

namespace cohort {
namespace {

/// Parts of a group, at most: beyond this, maps leave the cache before the next step reads them.
constexpr int64_t kMostTogether = 8;

/// Some rows of a batch as a batch of their own, where one would lie: some matrix products round by the place of their numbers.
at::Tensor partOf(const at::Tensor& input, int64_t first, int64_t rows) {
  const at::Tensor alone = input.narrow(0, first, rows);
  return reinterpret_cast<uintptr_t>(alone.data_ptr()) % 64 == 0 ? alone : alone.clone();
}

/// Calls `each(group)` for every group, on so many threads; throws what the first one that failed threw.
template <typename Each>
void forGroups(int64_t groups, int threads, const Each& each) {
  std::vector<std::exception_ptr> errors(static_cast<size_t>(groups));
  const at::ThreadLocalState state;
  const auto guarded = [&](int64_t group) {
    const at::ThreadLocalStateGuard same(state);
    try {
      each(group);
    } catch (...) {
      errors[static_cast<size_t>(group)] = std::current_exception();
    }
  };
  using Guarded = decltype(guarded);
  const auto call = [](const void* context, int64_t group) { (*static_cast<const Guarded*>(context))(group); };
  forEachPart(groups, threads, call, &guarded);
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

/// What is computed so far for the parts of a group. Each tensor is either joined, for all parts, or apart: what is written in
/// place must be seen by all that share its memory.
class Group {
 public:
  Group(const Plan& plan, const at::Tensor& input)
      : plan_(plan),
        rows_(plan.sizes[0]),
        apart_(static_cast<size_t>(input.size(0) / rows_), std::vector<at::Tensor>(static_cast<size_t>(plan.numbers))),
        joined_(static_cast<size_t>(plan.numbers)) {
    joined_[0] = input;
  }

  void run() {
    for (size_t first = 0; first < plan_.steps.size();) {
      if (plan_.steps[first].isShared && apart_.size() > 1 && takeTogether(plan_.steps[first])) {
        first += 1;
        continue;
      }
      size_t last = first + 1;
      while (last < plan_.steps.size() && !plan_.steps[last].isShared) last += 1;
      // All of these for one part before the next, which stays in the cache.
      for (size_t i = first; i < last; ++i) separateArguments(plan_.steps[i]);
      for (auto& computed : apart_) takeSteps(plan_, first, last, computed);
      first = last;
    }
  }

  /// The parts of an output, or all of them as one.
  void addOutput(const PlanTensor& output, std::vector<at::Tensor>& pieces) const {
    const auto number = static_cast<size_t>(output.number);
    if (joined_[number].defined()) return pieces.push_back(joined_[number]);
    for (const auto& computed : apart_) pieces.push_back(computed[number]);
  }

 private:
  /// False where the convolution is not made for such a batch.
  bool takeTogether(const PlanStep& step) {
    OptionalTensor input, residual;
    for (const auto& argument : step.tensors) {
      if (argument.place == 0) input = together(argument.tensors[0]);
      if (argument.place == 3) residual = together(argument.tensors[0]);
    }
    if (!isGiven(input)) return false;
    const at::Tensor output = step.prepared->run(*input, residual);
    if (!output.defined()) return false;
    joined_[static_cast<size_t>(step.results[0][0])] = output;
    for (const int released : step.released) forget(static_cast<size_t>(released));
    return true;
  }

  at::Tensor together(const PlanTensor& tensor) const {
    // One that was not computed is the same for all parts, and has the rows of one.
    if (tensor.number < 0) return at::cat(std::vector<at::Tensor>(apart_.size(), tensor.constant), 0);
    const auto number = static_cast<size_t>(tensor.number);
    if (joined_[number].defined()) return joined_[number];
    std::vector<at::Tensor> parts;
    for (const auto& computed : apart_) parts.push_back(computed[number]);
    return at::cat(parts, 0);
  }

  void separateArguments(const PlanStep& step) {
    for (const auto& argument : step.tensors) {
      for (const PlanTensor& tensor : argument.tensors) {
        if (tensor.number >= 0) separate(static_cast<size_t>(tensor.number));
      }
    }
  }

  void separate(size_t number) {
    if (!joined_[number].defined()) return;
    for (size_t part = 0; part < apart_.size(); ++part) {
      apart_[part][number] = partOf(joined_[number], static_cast<int64_t>(part) * rows_, rows_);
    }
    joined_[number] = at::Tensor();
  }

  void forget(size_t number) {
    joined_[number] = at::Tensor();
    for (auto& computed : apart_) computed[number] = at::Tensor();
  }

  const Plan& plan_;
  int64_t rows_;
  /// By part and number.
  std::vector<std::vector<at::Tensor>> apart_;
  /// By number.
  std::vector<at::Tensor> joined_;
};

}  // namespace

std::vector<at::Tensor> runParts(const Plan& plan, const at::Tensor& input) {
  const int64_t rows = plan.sizes[0], parts = input.size(0) / rows;
  const int64_t threads = plan.takesOneThread ? std::min<int64_t>(at::get_num_threads(), parts) : 1;
  // As many for each thread, of about the same size.
  const int64_t rounds = (parts + threads * kMostTogether - 1) / (threads * kMostTogether);
  const int64_t groups = std::min(parts, rounds * threads);
  std::vector<std::vector<std::vector<at::Tensor>>> pieces(static_cast<size_t>(groups));
  forGroups(groups, static_cast<int>(threads), [&](int64_t number) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const SingleThread single(plan.takesOneThread);
    const int64_t first = number * parts / groups, count = (number + 1) * parts / groups - first;
    Group group(plan, input.narrow(0, first * rows, count * rows));
    group.run();
    auto& own = pieces[static_cast<size_t>(number)];
    own.resize(plan.outputs.size());
    for (size_t i = 0; i < own.size(); ++i) group.addOutput(plan.outputs[i], own[i]);
  });
  std::vector<at::Tensor> outputs;
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    std::vector<at::Tensor> all;
    for (auto& own : pieces) all.insert(all.end(), own[i].begin(), own[i].end());
    outputs.push_back(at::cat(all, 0));
  }
  return outputs;
}

}  // namespace cohort
