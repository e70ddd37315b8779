// Plans: the operators that a module ran for one input, repeated for others of its shape in a single call, so that a small
// input pays for its arithmetic only: no scopes, no handles, no matching of arguments, no weights laid out anew.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "binding/operators.h"
#include "kernels/convolution/preparedConvolution.h"

namespace cohort {

/// A tensor of a plan: one that it computes, by its number, or one that it was made with.
struct PlanTensor {
  int number = -1;
  at::Tensor constant;
};

/// One operator call of a plan.
struct PlanStep {
  /// An argument with tensors in it, which are put in its place.
  struct Argument {
    size_t place;
    bool isList;
    std::vector<PlanTensor> tensors;
  };

  const Operator* op;
  const Overload* overload;
  torch::jit::Stack arguments;
  std::vector<Argument> tensors;
  /// Numbers of the tensors in each result; a result that is a list has several.
  std::vector<std::vector<int>> results;
  /// Numbers that no later step needs.
  std::vector<int> released;
  /// In place of a folded convolution's operator, where there is one.
  std::shared_ptr<PreparedConvolution> prepared;
  /// Whether parts of a batch take it together: see `runParts`.
  bool isShared = false;
};

/// What a module does with inputs of one shape.
struct Plan {
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
  at::ScalarType type;
  int numbers;
  std::vector<PlanStep> steps;
  std::vector<PlanTensor> outputs;
  /// Whether every convolution is so small that sharing it between threads costs more than it saves, or was asked to take one.
  bool takesOneThread;
};

/// Weights that are laid out once for all plans of a module.
class SharedConvolutions {
 public:
  std::shared_ptr<PreparedConvolution> find(const at::Tensor& input, const OptionalTensor& residual,
                                            const FoldedArguments& folded);

 private:
  struct Entry {
    FoldedArguments folded;
    std::shared_ptr<PreparedConvolution> prepared;
  };
  std::unordered_map<const c10::TensorImpl*, std::vector<Entry>> entries_;
};

/// The plans of one module.
struct PlanSet {
  /// Whether all of them take one thread, whatever their size: for parts of a batch that run at the same time.
  bool takeOneThread;
  std::vector<Plan> plans;
  SharedConvolutions convolutions;
};

/// Notes the operators that are called from its birth on.
class PlanRecorder {
 public:
  explicit PlanRecorder(const at::Tensor& input);

  void add(const Operator& op, const Overload& overload, const torch::jit::Stack& arguments, const torch::jit::Stack& results);

  /// For what a plan cannot repeat: numbers that left the engine, random draws, other devices.
  void refuse() { isRefused_ = true; }

  /// Whether the tensors are what a plan can give; then the plan is the last of the set.
  bool finish(const std::vector<at::Tensor>& outputs, PlanSet& set);

 private:
  PlanTensor tensorOf(const at::Tensor& tensor) const;
  int numberOf(const at::Tensor& tensor);

  Plan plan_;
  bool isRefused_ = false;
  int64_t mostMultiplyAdds_ = 0;
  std::unordered_map<const c10::TensorImpl*, int> numbers_;
  /// Keeps addresses from being given to other tensors, but not their memory.
  std::vector<c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>> seen_;
};

}  // namespace cohort
