// Caching CPU allocator: best fit in large segments backed by huge pages.
//
// A training step allocates and frees the same few hundred megabytes again and again. glibc returns such blocks
// to the kernel and faults them in again, four kilobytes at a time; keeping them, in 2 MiB pages, makes a step of two
// ResNet-32 faster (docs/decisions/002-threads-and-memory.md). Blocks are split and merged with their neighbours, so that
// the cache never holds much more than the peak in use.
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "binding/environment.h"

namespace cohort {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHeaderBytes = 64;
/// Below this the C library is as good and wastes less.
constexpr size_t kSmallBytes = 16 << 10;
constexpr size_t kSegmentBytes = 32 << 20;
constexpr size_t kHugePageBytes = 2 << 20;
/// A rest smaller than this stays with the block it was cut from.
constexpr size_t kSmallestSplitBytes = 8 << 10;

size_t roundUp(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

struct Block {
  char* begin;
  size_t bytes;
  bool isFree;
  /// Neighbours inside the same segment.
  Block* previous;
  Block* next;
};

struct BySize {
  bool operator()(const Block* left, const Block* right) const {
    return left->bytes != right->bytes ? left->bytes < right->bytes : left->begin < right->begin;
  }
};

/// Stands right before the data; a null block marks memory of the C library.
struct Header {
  Block* block;
  size_t bytes;
};
static_assert(sizeof(Header) <= kHeaderBytes, "the header must keep the data aligned");

class SegmentPool {
 public:
  /// Returns a block of at least `bytes` or null when the system has no memory left.
  Block* take(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    Block key{nullptr, bytes, true, nullptr, nullptr};
    auto found = free_.lower_bound(&key);
    if (found == free_.end()) {
      Block* fresh = addSegment(bytes);
      if (fresh == nullptr) return nullptr;
      found = free_.insert(fresh).first;
    }
    Block* block = *found;
    free_.erase(found);
    if (block->bytes - bytes >= kSmallestSplitBytes) {
      auto* rest = new Block{block->begin + bytes, block->bytes - bytes, true, block, block->next};
      if (rest->next != nullptr) rest->next->previous = rest;
      block->next = rest;
      block->bytes = bytes;
      free_.insert(rest);
    }
    block->isFree = false;
    used_ += block->bytes;
    if (used_ > peak_) peak_ = used_;
    return block;
  }

  void give(Block* block) {
    std::lock_guard<std::mutex> lock(mutex_);
    used_ -= block->bytes;
    block->isFree = true;
    if (block->next != nullptr && block->next->isFree) absorbNext(block);
    if (block->previous != nullptr && block->previous->isFree) {
      block = block->previous;
      free_.erase(block);
      absorbNext(block, false);
    }
    free_.insert(block);
  }

  void trim() {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto it = free_.begin(); it != free_.end();) {
      Block* block = *it;
      if (block->previous == nullptr && block->next == nullptr) {
        it = free_.erase(it);
        reserved_ -= block->bytes;
        unmap(block->begin, block->bytes);
        delete block;
      } else {
        ++it;
      }
    }
  }

  AllocatorStatistics statistics() {
    std::lock_guard<std::mutex> lock(mutex_);
    return {static_cast<int64_t>(used_), static_cast<int64_t>(reserved_), static_cast<int64_t>(peak_)};
  }

 private:
  void absorbNext(Block* block, bool nextIsListed = true) {
    Block* next = block->next;
    if (nextIsListed) free_.erase(next);
    block->bytes += next->bytes;
    block->next = next->next;
    if (next->next != nullptr) next->next->previous = block;
    delete next;
  }

  Block* addSegment(size_t bytes) {
    const size_t size = roundUp(bytes < kSegmentBytes ? kSegmentBytes : bytes, kHugePageBytes);
    char* begin = map(size);
    if (begin == nullptr) return nullptr;
    reserved_ += size;
    return new Block{begin, size, true, nullptr, nullptr};
  }

#if defined(__linux__)
  static char* map(size_t bytes) {
    // Over-allocate to reach a huge-page boundary, then give the ends back.
    const size_t padded = bytes + kHugePageBytes;
    void* raw = mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) return nullptr;
    const auto start = reinterpret_cast<uintptr_t>(raw);
    const uintptr_t aligned = roundUp(start, kHugePageBytes);
    if (aligned > start) munmap(raw, aligned - start);
    const uintptr_t end = aligned + bytes;
    if (start + padded > end) munmap(reinterpret_cast<void*>(end), start + padded - end);
    madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);
    return reinterpret_cast<char*>(aligned);
  }
  static void unmap(char* begin, size_t bytes) { munmap(begin, bytes); }
#else
  static char* map(size_t bytes) {
    void* raw = nullptr;
    return posix_memalign(&raw, kHugePageBytes, bytes) == 0 ? static_cast<char*>(raw) : nullptr;
  }
  static void unmap(char* begin, size_t) { std::free(begin); }
#endif

  std::mutex mutex_;
  std::set<Block*, BySize> free_;
  size_t used_ = 0;
  size_t reserved_ = 0;
  size_t peak_ = 0;
};

/// Never destroyed: tensors of other threads may outlive static destruction.
SegmentPool& pool() {
  static auto* instance = new SegmentPool();
  return *instance;
}

void release(void* data) {
  if (data == nullptr) return;
  char* raw = static_cast<char*>(data) - kHeaderBytes;
  Header header;
  std::memcpy(&header, raw, sizeof header);
  if (header.block == nullptr) {
    std::free(raw);
  } else {
    pool().give(header.block);
  }
}

class CachingAllocator final : public c10::Allocator {
 public:
#if COHORT_TORCH_VERSION >= 20300
  c10::DataPtr allocate(size_t bytes) override {
#else
  c10::DataPtr allocate(size_t bytes) const override {
#endif
    if (bytes == 0) return {nullptr, nullptr, &release, c10::Device(c10::DeviceType::CPU)};
    char* raw = nullptr;
    Header header{nullptr, bytes};
    const bool isPossible = bytes < (size_t{1} << 46);
    const size_t total = isPossible ? roundUp(bytes + kHeaderBytes, kAlignment) : 0;
    if (!isPossible) {
      // Adding the header could overflow: leave `raw` null.
    } else if (total < kSmallBytes) {
      void* memory = nullptr;
      if (posix_memalign(&memory, kAlignment, total) == 0) raw = static_cast<char*>(memory);
    } else {
      header.block = pool().take(total);
      if (header.block != nullptr) raw = header.block->begin;
    }
    TORCH_CHECK_WITH(OutOfMemoryError, raw != nullptr, "not enough memory: tried to allocate ", bytes, " bytes");
    std::memcpy(raw, &header, sizeof header);
    char* data = raw + kHeaderBytes;
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
#if COHORT_TORCH_VERSION >= 20300
  void copy_data(void* destination, const void* source, size_t count) const override {
    default_copy_data(destination, source, count);
  }
#endif
};

std::atomic<bool> installed{false};

}  // namespace

void installAllocator() {
  static std::once_flag once;
  std::call_once(once, [] {
#if defined(__GLIBC__)
    // oneDNN and OpenBLAS take their scratch memory from the C library: keep it there between steps.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
    const char* choice = std::getenv("COHORT_ALLOCATOR");
    if (choice != nullptr && std::strcmp(choice, "system") == 0) return;
    static auto* allocator = new CachingAllocator();
    c10::SetCPUAllocator(allocator, /*priority=*/255);
    installed = true;
  });
}

bool allocatorInstalled() { return installed; }
AllocatorStatistics allocatorStatistics() { return pool().statistics(); }
void trimAllocator() { pool().trim(); }

}  // namespace cohort
