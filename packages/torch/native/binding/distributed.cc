// Process groups as functions of the addon: groups are numbers here, and tensors their handles.
#include "binding/distributed.h"

#include <chrono>
#include <map>
#include <mutex>

#include "binding/environment.h"
#include "distributed/processGroup.h"
#include "kernels/batchNorm/sharedBatch.h"

namespace cohort {
namespace {

/// Groups by number. A group belongs to the process, so that its connections outlive the thread that joined it.
class Groups {
 public:
  double add(std::unique_ptr<ProcessGroup> group) {
    std::lock_guard<std::mutex> lock(mutex_);
    groups_.emplace(next_, std::move(group));
    return next_++;
  }

  std::shared_ptr<ProcessGroup> get(double number) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = groups_.find(static_cast<int>(number));
    if (found == groups_.end()) throw ArgumentError("this process has left the group");
    return found->second;
  }

  void remove(double number) {
    std::shared_ptr<ProcessGroup> last;
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = groups_.find(static_cast<int>(number));
    if (found == groups_.end()) return;
    last = std::move(found->second);
    groups_.erase(found);
  }

 private:
  std::mutex mutex_;
  std::map<int, std::shared_ptr<ProcessGroup>> groups_;
  int next_ = 1;
};

/// Never destroyed: at the end of the process the threads of a group may still wait for others.
Groups& groups() {
  static auto* all = new Groups();
  return *all;
}

/// A batch that the ranks of a group share.
class GroupBatch final : public SharedBatch {
 public:
  explicit GroupBatch(std::shared_ptr<ProcessGroup> group) : group_(std::move(group)) {}

  std::vector<double> gather(const std::vector<double>& own) override {
    const auto startedAt = std::chrono::steady_clock::now();
    const auto count = static_cast<int64_t>(own.size());
    std::vector<double> all(own.size() * static_cast<size_t>(group_->size()));
    const auto options = at::TensorOptions().dtype(at::kDouble);
    std::vector<double> input = own;
    try {
      group_->allGather(at::from_blob(all.data(), {static_cast<int64_t>(all.size())}, options),
                        at::from_blob(input.data(), {count}, options));
    } catch (const std::exception& error) {
      // By these words the caller knows that it was not this rank's own operator that failed.
      throw std::runtime_error(std::string("shared batch: ") + error.what());
    }
    auto& traffic = group_->sharedTraffic;
    traffic.operations += 1;
    traffic.bytes += static_cast<double>(own.size() * sizeof(double));
    traffic.milliseconds +=
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - startedAt).count();
    return all;
  }

 private:
  std::shared_ptr<ProcessGroup> group_;
};

at::Tensor& contiguous(Environment& environment, const Arguments& arguments, size_t index) {
  at::Tensor& tensor = environment.tensor(arguments.number(index));
  if (!tensor.is_contiguous()) throw ArgumentError("expected a contiguous tensor");
  return tensor;
}

napi_value groupBackends(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments&) { return toString(env, processGroupBackends()); });
}

/// joinGroup(backend, address, rank, size, timeoutMs, ownHost)
napi_value joinGroup(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    Membership membership;
    membership.backend = arguments.string(0);
    membership.address = arguments.string(1);
    membership.rank = static_cast<int>(arguments.number(2));
    membership.size = static_cast<int>(arguments.number(3));
    membership.timeout = std::chrono::milliseconds(static_cast<int64_t>(arguments.number(4)));
    membership.ownHost = arguments.string(5);
    return toNumber(env, groups().add(joinProcessGroup(membership)));
  });
}

/// partOfGroup(group, name, rank, size)
napi_value partOfGroup(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    auto part = groups().get(arguments.number(0))->part(arguments.string(1), static_cast<int>(arguments.number(2)),
                                                        static_cast<int>(arguments.number(3)));
    return toNumber(env, groups().add(std::move(part)));
  });
}

/// shareBatch(group): batch normalisations of this thread are over all ranks of the group; 0 for none.
napi_value shareBatch(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    const double group = arguments.number(0);
    c10::intrusive_ptr<SharedBatch> batch;
    if (group != 0) batch = c10::make_intrusive<GroupBatch>(groups().get(group));
    SharedBatch::setCurrent(std::move(batch));
    return toBoolean(env, true);
  });
}

/// groupSharedTraffic(group): operations, bytes to each other rank and milliseconds into the buffer.
napi_value groupSharedTraffic(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const auto& traffic = groups().get(arguments.number(0))->sharedTraffic;
    environment.buffer[0] = traffic.operations;
    environment.buffer[1] = traffic.bytes;
    environment.buffer[2] = traffic.milliseconds;
    return toBoolean(env, true);
  });
}

/// leaveGroup(group)
napi_value leaveGroup(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    groups().remove(arguments.number(0));
    return toBoolean(env, true);
  });
}

/// groupAllGather(group, output, input)
napi_value groupAllGather(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    groups().get(arguments.number(0))->allGather(contiguous(environment, arguments, 1), contiguous(environment, arguments, 2));
    return toBoolean(env, true);
  });
}

/// groupAllReduce(group, tensor, maximum)
napi_value groupAllReduce(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    groups().get(arguments.number(0))->allReduce(contiguous(environment, arguments, 1), arguments.boolean(2));
    return toBoolean(env, true);
  });
}

/// groupBroadcast(group, tensor, root)
napi_value groupBroadcast(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const int root = static_cast<int>(arguments.number(2));
    groups().get(arguments.number(0))->broadcast(contiguous(environment, arguments, 1), root);
    return toBoolean(env, true);
  });
}

/// groupSend(group, tensor, rank)
napi_value groupSend(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    groups().get(arguments.number(0))->send(contiguous(environment, arguments, 1), static_cast<int>(arguments.number(2)));
    return toBoolean(env, true);
  });
}

/// groupReceive(group, tensor, rank)
napi_value groupReceive(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    groups().get(arguments.number(0))->receive(contiguous(environment, arguments, 1), static_cast<int>(arguments.number(2)));
    return toBoolean(env, true);
  });
}

/// groupBarrier(group)
napi_value groupBarrier(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment&, const Arguments& arguments) {
    groups().get(arguments.number(0))->barrier();
    return toBoolean(env, true);
  });
}

}  // namespace

void registerDistributed(napi_env env, napi_value exports) {
  exportFunction(env, exports, "groupBackends", groupBackends);
  exportFunction(env, exports, "joinGroup", joinGroup);
  exportFunction(env, exports, "partOfGroup", partOfGroup);
  exportFunction(env, exports, "shareBatch", shareBatch);
  exportFunction(env, exports, "groupSharedTraffic", groupSharedTraffic);
  exportFunction(env, exports, "leaveGroup", leaveGroup);
  exportFunction(env, exports, "groupAllGather", groupAllGather);
  exportFunction(env, exports, "groupAllReduce", groupAllReduce);
  exportFunction(env, exports, "groupBroadcast", groupBroadcast);
  exportFunction(env, exports, "groupSend", groupSend);
  exportFunction(env, exports, "groupReceive", groupReceive);
  exportFunction(env, exports, "groupBarrier", groupBarrier);
}

}  // namespace cohort
