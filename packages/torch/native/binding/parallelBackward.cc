// Several independent graphs differentiated at the same time, each on cores of its own: the networks of a cohort do not
// depend on one another between their images and their outputs, and two networks on a core each wait for no barrier.
#include <torch/csrc/autograd/autograd.h>

#include <ATen/Parallel.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#ifdef COHORT_OPENMP
#include <omp.h>
#endif

#include "binding/environment.h"

namespace cohort {
namespace {

/// How many threads the loops of this thread use, here and in the libraries below.
void limitThreads(int count) {
#ifdef COHORT_OPENMP
  omp_set_num_threads(count);
#else
  (void)count;
#endif
}

/// Threads that outlive the call, so that those that the loops start below them are not started anew every time.
class Workers {
 public:
  /// Runs `task(0)` here and the others on a thread each; throws what the first of them threw.
  void run(size_t count, const std::function<void(size_t)>& task) {
    std::vector<std::exception_ptr> errors(count);
    const auto guarded = [&](size_t index) {
      try {
        task(index);
      } catch (...) {
        errors[index] = std::current_exception();
      }
    };
    {
      std::unique_lock<std::mutex> lock(mutex_);
      task_ = guarded;
      wanted_ = count;
      running_ = count - 1;
      ++turn_;
      while (threads_ + 1 < count) start();
    }
    wake_.notify_all();
    guarded(0);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return running_ == 0; });
    task_ = nullptr;
    for (const auto& error : errors) {
      if (error) std::rethrow_exception(error);
    }
  }

 private:
  /// With the lock held.
  void start() {
    const size_t index = ++threads_;
    const size_t before = turn_ - 1;
    std::thread([this, index, before] {
      // LibTorch sets its own number of threads when a thread first asks for it, in its code and in what its headers bring
      // into ours: both now, or the first graph of this thread would be summed in shares of another size.
      at::internal::lazy_init_num_threads();
      at::get_num_threads();
      size_t seen = before;
      for (;;) {
        std::function<void(size_t)> task;
        {
          std::unique_lock<std::mutex> lock(mutex_);
          wake_.wait(lock, [&] { return turn_ != seen; });
          seen = turn_;
          if (index >= wanted_) continue;
          task = task_;
        }
        task(index);
        std::unique_lock<std::mutex> lock(mutex_);
        if (--running_ == 0) done_.notify_all();
      }
    }).detach();
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::function<void(size_t)> task_;
  size_t wanted_ = 0, running_ = 0, turn_ = 0, threads_ = 0;
};

struct Graph {
  std::vector<at::Tensor> outputs;
  std::vector<at::Tensor> gradients;
};

/// backwardTogether(count, concurrency): buffer in [outputs], [their gradients] of each of `count` graphs. Worker k takes
/// graphs k, k + concurrency, ... and its share of the threads.
napi_value backwardTogether(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    size_t position = 0;
    const auto list = [&] {
      std::vector<at::Tensor> tensors(static_cast<size_t>(environment.buffer[position++]));
      for (auto& tensor : tensors) tensor = environment.tensor(environment.buffer[position++]);
      return tensors;
    };
    std::vector<Graph> graphs(static_cast<size_t>(arguments.number(0)));
    for (auto& graph : graphs) {
      graph.outputs = list();
      graph.gradients = list();
    }
    const auto concurrency = static_cast<size_t>(arguments.number(1));
    const int threads = at::get_num_threads();
    const int share = std::max(1, threads / static_cast<int>(concurrency));
    // A process has one pool: Node's worker threads take turns.
    static auto* const workers = new Workers();
    static std::mutex turns;
    const std::lock_guard<std::mutex> turn(turns);
    const auto work = [&](size_t index) {
      limitThreads(share);
      for (size_t i = index; i < graphs.size(); i += concurrency) {
        torch::autograd::backward(graphs[i].outputs, graphs[i].gradients);
        // The graph goes with the thread that used it, before the others are done.
        graphs[i] = {};
      }
    };
    try {
      workers->run(concurrency, work);
    } catch (...) {
      limitThreads(threads);
      throw;
    }
    limitThreads(threads);
    return toBoolean(env, true);
  });
}

}  // namespace

void registerParallelBackward(napi_env env, napi_value exports) {
  exportFunction(env, exports, "backwardTogether", backwardTogether);
}

}  // namespace cohort
