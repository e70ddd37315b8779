// Tensors from and to typed arrays, and what a tensor says of itself.
#include <ATen/Functions.h>

#include <cstring>

#include "binding/environment.h"
#include "binding/plan.h"

namespace cohort {
namespace {

/// The numbers of c10::ScalarType, which are stable; src/dtype.ts has the same list.
at::ScalarType scalarType(double code) {
  const auto type = static_cast<at::ScalarType>(static_cast<int>(code));
  switch (type) {
    case at::kByte:
    case at::kChar:
    case at::kShort:
    case at::kInt:
    case at::kLong:
    case at::kHalf:
    case at::kFloat:
    case at::kDouble:
    case at::kBool:
    case at::kBFloat16:
      return type;
    default:
      throw ArgumentError("native call: unknown dtype code " + std::to_string(static_cast<int>(code)));
  }
}

struct Bytes {
  char* data = nullptr;
  size_t length = 0;
  napi_value arrayBuffer = nullptr;
};

Bytes bytesOf(napi_env env, napi_value value) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  Bytes bytes;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, &bytes.arrayBuffer, nullptr) != napi_ok) {
    throw ArgumentError("expected a typed array");
  }
  static const size_t widths[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
  if (static_cast<size_t>(type) >= sizeof(widths) / sizeof(widths[0])) throw ArgumentError("this kind of typed array is not supported");
  bytes.data = static_cast<char*>(data);
  bytes.length = length * widths[type];
  return bytes;
}

/// The call buffer carries [rank, sizes...].
std::vector<int64_t> shapeFromBuffer(const Environment& environment) {
  const auto rank = static_cast<size_t>(environment.buffer[0]);
  std::vector<int64_t> shape(rank);
  for (size_t i = 0; i < rank; ++i) shape[i] = static_cast<int64_t>(environment.buffer[i + 1]);
  return shape;
}

void requireLength(const Bytes& bytes, const std::vector<int64_t>& shape, at::ScalarType type) {
  size_t expected = c10::elementSize(type);
  for (const int64_t size : shape) expected *= static_cast<size_t>(size);
  if (bytes.length != expected) {
    throw ArgumentError("expected " + std::to_string(expected) + " bytes for this shape and dtype, got " + std::to_string(bytes.length));
  }
}

/// fromBytes(typed array, dtype code): one copy.
napi_value fromBytes(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const Bytes bytes = bytesOf(env, arguments.value(0));
    const auto type = scalarType(arguments.number(1));
    const auto shape = shapeFromBuffer(environment);
    requireLength(bytes, shape, type);
    at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(type));
    if (bytes.length > 0) std::memcpy(tensor.data_ptr(), bytes.data, bytes.length);
    return toNumber(env, environment.addTensor(toDevice(tensor, environment.device)));
  });
}

/// wrapBytes(typed array, dtype code): no copy on the CPU; the tensor and the array are the same memory.
napi_value wrapBytes(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    environment.deletePendingReferences();
    const Bytes bytes = bytesOf(env, arguments.value(0));
    const auto type = scalarType(arguments.number(1));
    const auto shape = shapeFromBuffer(environment);
    requireLength(bytes, shape, type);
    napi_ref reference = nullptr;
    napi_create_reference(env, bytes.arrayBuffer, 1, &reference);
    at::Tensor tensor = at::from_blob(
        bytes.data, shape,
        [pending = environment.pendingReferences, reference](void*) {
          std::lock_guard<std::mutex> lock(pending->mutex);
          pending->references.push_back(reference);
          pending->any = true;
        },
        at::TensorOptions().dtype(type));
    return toNumber(env, environment.addTensor(toDevice(tensor, environment.device)));
  });
}

/// toBytes(handle, typed array): copies the tensor's elements, row by row, into the array.
napi_value toBytes(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const at::Tensor& source = environment.tensor(arguments.number(0));
    if (environment.recorder != nullptr) environment.recorder->refuse();
    const Bytes bytes = bytesOf(env, arguments.value(1));
    const size_t expected = static_cast<size_t>(source.numel()) * source.element_size();
    if (bytes.length != expected) {
      throw ArgumentError("expected room for " + std::to_string(expected) + " bytes, got " + std::to_string(bytes.length));
    }
    if (expected > 0) {
      at::NoGradGuard noGrad;
      const at::Tensor dense = source.layout() == at::kStrided ? source.detach() : source.detach().to_dense();
      // Copied straight into the array, whatever the strides and the device.
      at::from_blob(bytes.data, dense.sizes(), at::TensorOptions().dtype(dense.scalar_type())).copy_(dense);
    }
    return toBoolean(env, true);
  });
}

/// describe(handle): buffer out [dtype code, requiresGrad, isLeaf, contiguity (1 rows, 2 channels last), rank, sizes..., strides...].
napi_value describe(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    const at::Tensor& tensor = environment.tensor(arguments.number(0));
    const auto rank = static_cast<size_t>(tensor.dim());
    if (environment.bufferLength < 5 + 2 * rank) {
      throw ArgumentError("a tensor of " + std::to_string(rank) + " dimensions cannot be described; reshape it to fewer");
    }
    double* out = environment.buffer;
    *out++ = static_cast<double>(tensor.scalar_type());
    *out++ = tensor.requires_grad() ? 1 : 0;
    *out++ = tensor.is_leaf() ? 1 : 0;
    const bool strided = tensor.layout() == at::kStrided;
    const bool rows = strided && tensor.is_contiguous();
    const bool channelsLast = strided && tensor.dim() == 4 && tensor.is_contiguous(at::MemoryFormat::ChannelsLast);
    *out++ = (rows ? 1 : 0) + (channelsLast ? 2 : 0);
    *out++ = static_cast<double>(rank);
    for (const int64_t size : tensor.sizes()) *out++ = static_cast<double>(size);
    if (strided) {
      for (const int64_t stride : tensor.strides()) *out++ = static_cast<double>(stride);
    }
    return toBoolean(env, true);
  });
}

napi_value device(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    return toString(env, environment.tensor(arguments.number(0)).device().str());
  });
}

/// item(handle): the one element as a number; buffer-free because losses are read every step.
napi_value item(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    if (environment.recorder != nullptr) environment.recorder->refuse();
    return toNumber(env, environment.tensor(arguments.number(0)).item().toDouble());
  });
}

napi_value release(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    environment.releaseTensor(arguments.number(0));
    return toBoolean(env, true);
  });
}

napi_value leaveToCollector(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    environment.leaveToCollector(arguments.number(0));
    return toBoolean(env, true);
  });
}

/// alias(handle): a second handle of the same tensor, with a life of its own.
napi_value alias(napi_env env, napi_callback_info info) {
  return answer(env, info, [&](Environment& environment, const Arguments& arguments) {
    return toNumber(env, environment.addTensor(environment.tensor(arguments.number(0))));
  });
}

napi_value liveTensors(napi_env env, napi_callback_info) {
  return toNumber(env, static_cast<double>(Environment::of(env).tensors.size()));
}

}  // namespace

void registerTensors(napi_env env, napi_value exports) {
  exportFunction(env, exports, "fromBytes", fromBytes);
  exportFunction(env, exports, "wrapBytes", wrapBytes);
  exportFunction(env, exports, "toBytes", toBytes);
  exportFunction(env, exports, "describe", describe);
  exportFunction(env, exports, "device", device);
  exportFunction(env, exports, "item", item);
  exportFunction(env, exports, "release", release);
  exportFunction(env, exports, "leaveToCollector", leaveToCollector);
  exportFunction(env, exports, "alias", alias);
  exportFunction(env, exports, "liveTensors", liveTensors);
}

}  // namespace cohort
