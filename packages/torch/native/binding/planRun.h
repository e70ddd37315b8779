// Runs plans: step by step, or for parts of a batch that threads share.
#pragma once

#include <ATen/Parallel.h>

#include <vector>

#ifdef COHORT_OPENMP
#include <omp.h>
#endif

#include "binding/plan.h"

namespace cohort {

/// One thread for the loops of this thread while it lives.
class SingleThread {
 public:
  explicit SingleThread(bool isWanted) : before_(isWanted ? at::get_num_threads() : 1) { set(before_ == 1 ? 0 : 1); }
  ~SingleThread() { set(before_ == 1 ? 0 : before_); }
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  static void set(int count) {
#ifdef COHORT_OPENMP
    if (count > 0) omp_set_num_threads(count);
#else
    (void)count;
#endif
  }
  int before_;
};

/// The arguments of a step, with the tensors that are computed so far in their places.
torch::jit::Stack argumentsOf(const PlanStep& step, const std::vector<at::Tensor>& computed);

/// Computes the results of a step and keeps them by their numbers.
void take(const PlanStep& step, std::vector<at::Tensor>& computed);

/// Takes the steps from `first` to before `last` and forgets what no later one needs.
void takeSteps(const Plan& plan, size_t first, size_t last, std::vector<at::Tensor>& computed);

/// The outputs for an input like the one that the plan was made with.
std::vector<at::Tensor> runPlan(const Plan& plan, const at::Tensor& input);

/// The plan of a smaller batch for every part of a batch that is as large, with the bits that the plan gives for it alone. Where
/// the plan takes one thread, groups of parts are what threads share; else they share the work inside of each. Some steps take
/// a group at once.
std::vector<at::Tensor> runParts(const Plan& plan, const at::Tensor& input);

}  // namespace cohort
