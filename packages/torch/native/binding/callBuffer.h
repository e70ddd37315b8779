// How values travel in the call buffer, one JavaScript-owned Float64Array: a tag each, and what belongs to it.
#pragma once

#include "binding/environment.h"

namespace cohort {

/// How a value is written into the call buffer; the same numbers stand in src/callBuffer.ts.
enum Tag : int {
  kNone = 0,
  kInteger = 1,
  kDouble = 2,
  kBoolean = 3,
  kTensor = 4,
  kList = 5,
  kString = 6,
  kGenerator = 7,
  kBigInteger = 8,
  kDefault = 9,
  /// A result that is one of the tensors the call was given (`add_`, `out=`): its handle is theirs.
  kArgument = 10,
};

/// A value in the call buffer; lists point at their first element.
struct Value {
  int tag = kDefault;
  const double* payload = nullptr;
  double number() const { return payload[0]; }
  size_t length() const { return static_cast<size_t>(payload[0]); }
};

class Reader {
 public:
  Reader(const double* position, const double* end) : position_(position), end_(end) {}
  double next() {
    if (position_ >= end_) throw ArgumentError("native call: the call buffer ends too early");
    return *position_++;
  }
  Value value() {
    Value value;
    value.tag = static_cast<int>(next());
    value.payload = position_;
    switch (value.tag) {
      case kNone:
      case kDefault:
        break;
      case kBigInteger:
        next();
        next();
        break;
      case kList: {
        const auto count = static_cast<size_t>(next());
        for (size_t i = 0; i < count; ++i) this->value();
        break;
      }
      default:
        next();
    }
    return value;
  }
  std::vector<Value> elements(const Value& list) const {
    Reader reader(list.payload + 1, end_);
    std::vector<Value> values;
    values.reserve(list.length());
    for (size_t i = 0; i < list.length(); ++i) values.push_back(reader.value());
    return values;
  }

 private:
  const double* position_;
  const double* end_;
};

inline int64_t integer(const Value& value) {
  if (value.tag == kBigInteger) {
    return static_cast<int64_t>((static_cast<uint64_t>(static_cast<uint32_t>(static_cast<int64_t>(value.payload[0]))) << 32) |
                                static_cast<uint64_t>(value.payload[1]));
  }
  return static_cast<int64_t>(value.number());
}

}  // namespace cohort
