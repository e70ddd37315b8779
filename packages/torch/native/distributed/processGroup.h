// LibTorch's process groups behind one class: Gloo on processors and NCCL on graphics cards, whichever was compiled in.
#pragma once

#include <ATen/ATen.h>

#include <chrono>
#include <memory>
#include <string>

namespace cohort {

/// How a process joins its group.
struct Membership {
  /// "gloo" or "nccl".
  std::string backend;
  /// "HOST:PORT" of the store that rank 0 serves, or "file:PATH" of one on a drive that all ranks see.
  std::string address;
  int rank;
  int size;
  std::chrono::milliseconds timeout;
  /// Address of this host that the others reach it at.
  std::string ownHost;
};

/// A group of processes that run the same collective operations in the same order. All of them wait until they are done, and
/// throw where a rank has gone or the time is over; the group cannot be used after that.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;

  /// The contiguous inputs of all ranks one after the other, in the order of ranks.
  virtual void allGather(at::Tensor output, at::Tensor input) = 0;
  /// Sum, or maximum, over all ranks, in place; the same bits on every rank.
  virtual void allReduce(at::Tensor tensor, bool maximum) = 0;
  /// The root's tensor on every rank, in place.
  virtual void broadcast(at::Tensor tensor, int root) = 0;
  virtual void send(at::Tensor tensor, int rank) = 0;
  virtual void receive(at::Tensor tensor, int rank) = 0;
  virtual void barrier() = 0;

  /// A group of some of the ranks, which meet under a name that no other group has; all of them call it.
  virtual std::unique_ptr<ProcessGroup> part(const std::string& name, int rank, int size) = 0;

  int size() const { return size_; }

  /// What batch normalisations over this group passed between ranks, besides the operations above.
  struct SharedTraffic {
    double operations = 0;
    /// Of payload, to each other rank.
    double bytes = 0;
    double milliseconds = 0;
  } sharedTraffic;

 protected:
  explicit ProcessGroup(int size) : size_(size) {}

 private:
  int size_;
};

/// Names of the backends that were compiled in, with commas between; empty for a LibTorch without any.
std::string processGroupBackends();

/// Joins a group; returns once all its ranks have.
std::unique_ptr<ProcessGroup> joinProcessGroup(const Membership& membership);

}  // namespace cohort
