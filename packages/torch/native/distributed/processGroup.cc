// Process groups by calling LibTorch's classes directly: the operators of its dispatcher take other arguments in every version.
#include "distributed/processGroup.h"

#include "binding/environment.h"

#ifdef COHORT_GLOO
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef COHORT_NCCL
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#endif

namespace cohort {

#ifdef COHORT_GLOO
namespace {

/// The store through which ranks find each other. Rank 0 serves it.
c10::intrusive_ptr<c10d::Store> openStore(const Membership& membership) {
  const std::string filePrefix = "file:";
  if (membership.address.rfind(filePrefix, 0) == 0) {
    auto store = c10::make_intrusive<c10d::FileStore>(membership.address.substr(filePrefix.size()), membership.size);
    store->setTimeout(membership.timeout);
    return store;
  }
  const size_t colon = membership.address.rfind(':');
  if (colon == std::string::npos) throw ArgumentError("expected an address HOST:PORT, got '" + membership.address + "'");
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(std::stoi(membership.address.substr(colon + 1)));
  options.isServer = membership.rank == 0;
  options.numWorkers = static_cast<std::size_t>(membership.size);
  options.waitWorkers = false;
  options.timeout = membership.timeout;
#if COHORT_TORCH_VERSION >= 20300
  // The other server of newer versions is not compiled into every LibTorch.
  options.useLibUV = false;
#endif
  return c10::make_intrusive<c10d::TCPStore>(membership.address.substr(0, colon), options);
}

/// Joins the ranks that meet in a store.
using Connect = std::unique_ptr<ProcessGroup> (*)(const Membership&, c10::intrusive_ptr<c10d::Store>);

/// What the backends have in common; they share their names of operations, but from LibTorch 2.0 on no useful base class.
template <typename Backend>
class BackendGroup final : public ProcessGroup {
 public:
  BackendGroup(c10::intrusive_ptr<c10d::Store> store, c10::intrusive_ptr<Backend> backend, const Membership& membership,
               Connect connect)
      : ProcessGroup(membership.size),
        store_(std::move(store)),
        backend_(std::move(backend)),
        membership_(membership),
        connect_(connect) {}

  std::unique_ptr<ProcessGroup> part(const std::string& name, int rank, int size) override {
    Membership membership = membership_;
    membership.rank = rank;
    membership.size = size;
    return connect_(membership, c10::make_intrusive<c10d::PrefixStore>(name, store_));
  }

  void allGather(at::Tensor output, at::Tensor input) override {
    std::vector<std::vector<at::Tensor>> outputs = {output.view({size(), input.numel()}).unbind(0)};
    std::vector<at::Tensor> inputs = {input.view({input.numel()})};
    finish(backend_->allgather(outputs, inputs));
  }

  void allReduce(at::Tensor tensor, bool maximum) override {
    c10d::AllreduceOptions options;
    options.reduceOp = maximum ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
    std::vector<at::Tensor> tensors = {tensor};
    finish(backend_->allreduce(tensors, options));
  }

  void broadcast(at::Tensor tensor, int root) override {
    c10d::BroadcastOptions options;
    options.rootRank = root;
    std::vector<at::Tensor> tensors = {tensor};
    finish(backend_->broadcast(tensors, options));
  }

  void send(at::Tensor tensor, int rank) override {
    std::vector<at::Tensor> tensors = {tensor};
    finish(backend_->send(tensors, rank, 0));
  }

  void receive(at::Tensor tensor, int rank) override {
    std::vector<at::Tensor> tensors = {tensor};
    finish(backend_->recv(tensors, rank, 0));
  }

  void barrier() override { finish(backend_->barrier()); }

 private:
  template <typename Work>
  void finish(const Work& work) {
    if (!work->wait()) throw std::runtime_error("the operation of the process group was not completed");
  }

  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<Backend> backend_;
  Membership membership_;
  Connect connect_;
};

std::unique_ptr<ProcessGroup> joinGloo(const Membership& membership, c10::intrusive_ptr<c10d::Store> store) {
  auto options = c10d::ProcessGroupGloo::Options::create(membership.timeout);
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(membership.ownHost));
  // Operations follow one another: a second thread would wait for the first.
  options->threads = 1;
  auto backend = c10::make_intrusive<c10d::ProcessGroupGloo>(store, membership.rank, membership.size, options);
  return std::make_unique<BackendGroup<c10d::ProcessGroupGloo>>(store, backend, membership, joinGloo);
}

#ifdef COHORT_NCCL
std::unique_ptr<ProcessGroup> joinNccl(const Membership& membership, c10::intrusive_ptr<c10d::Store> store) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = membership.timeout;
  auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, membership.rank, membership.size, options);
  return std::make_unique<BackendGroup<c10d::ProcessGroupNCCL>>(store, backend, membership, joinNccl);
}
#endif

}  // namespace

std::string processGroupBackends() {
#ifdef COHORT_NCCL
  return "gloo,nccl";
#else
  return "gloo";
#endif
}

std::unique_ptr<ProcessGroup> joinProcessGroup(const Membership& membership) {
  if (membership.backend == "gloo") return joinGloo(membership, openStore(membership));
#ifdef COHORT_NCCL
  if (membership.backend == "nccl") return joinNccl(membership, openStore(membership));
#endif
  throw ArgumentError("the backend '" + membership.backend + "' was not compiled in; there is " + processGroupBackends());
}

#else

std::string processGroupBackends() { return {}; }

std::unique_ptr<ProcessGroup> joinProcessGroup(const Membership&) {
  throw ArgumentError("this LibTorch has no process groups");
}

#endif

}  // namespace cohort
