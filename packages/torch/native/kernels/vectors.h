// Vectors of any width in the compilers' own notation, which g++ and clang turn into whatever instructions there are, and
// loads and stores that widen bfloat16 to float32.
#pragma once

#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#endif

namespace cohort {
// Everything here is compiled several times for different instructions, and must not be shared between them.
namespace {

inline int64_t least(int64_t left, int64_t right) { return left < right ? left : right; }
inline int64_t most(int64_t left, int64_t right) { return left > right ? left : right; }

struct BFloat16 {
  uint16_t bits;
};

template <typename T, int W>
struct Halves;
/// Bytes of the widest vectors that are left to the compiler: where instructions hold less, it takes comparisons apart number by
/// number.
#ifdef COHORT_VECTOR_BYTES
constexpr int kWidestBytes = COHORT_VECTOR_BYTES;
#elif defined(__AVX512F__)
constexpr int kWidestBytes = 64;
#else
constexpr int kWidestBytes = 32;
#endif
template <typename T, int W, bool kIsWhole = (sizeof(T) * W <= kWidestBytes)>
struct VectorOf {
  typedef T Type __attribute__((vector_size(sizeof(T) * W)));
};
template <typename T, int W>
struct VectorOf<T, W, false> {
  using Type = Halves<T, W>;
};
template <typename T, int W>
using Vector = typename VectorOf<T, W>::Type;

/// What an element is computed in, and how many of those a 512-bit vector holds.
template <typename E>
struct Element {
  using Wide = E;
  static constexpr int kWidest = 64 / sizeof(E);
  static constexpr bool kIsNarrow = false;
};
template <>
struct Element<BFloat16> {
  using Wide = float;
  static constexpr int kWidest = 16;
  static constexpr bool kIsNarrow = true;
};
template <typename E>
using Wide = typename Element<E>::Wide;

/// For the name of a file's loops, which has COHORT_CAPABILITY in it.
#define COHORT_JOIN_(left, right) left##right
#define COHORT_JOIN(left, right) COHORT_JOIN_(left, right)
#define COHORT_TEXT_(name) #name
#define COHORT_TEXT(name) COHORT_TEXT_(name)

#define COHORT_INLINE inline __attribute__((always_inline))

/// A vector that is wider than the instructions, as two of half the width.
template <typename T, int W>
struct Halves {
  friend COHORT_INLINE Halves operator+(Halves left, Halves right) { return {left.low + right.low, left.high + right.high}; }
  friend COHORT_INLINE Halves operator-(Halves left, Halves right) { return {left.low - right.low, left.high - right.high}; }
  friend COHORT_INLINE Halves operator*(Halves left, Halves right) { return {left.low * right.low, left.high * right.high}; }
  friend COHORT_INLINE Halves operator/(Halves left, Halves right) { return {left.low / right.low, left.high / right.high}; }
  COHORT_INLINE Halves& operator+=(Halves other) { return *this = *this + other; }
  COHORT_INLINE Halves& operator/=(Halves other) { return *this = *this / other; }
  COHORT_INLINE T operator[](int i) const { return i < W / 2 ? low[i] : high[i - W / 2]; }

  Vector<T, W / 2> low, high;
};
template <typename T, int W>
constexpr bool kIsHalved = sizeof(T) * W > kWidestBytes;

/// W elements, widened.
template <int W, typename E>
COHORT_INLINE Vector<Wide<E>, W> load(const E* from) {
  Vector<Wide<E>, W> value;
  if constexpr (kIsHalved<Wide<E>, W>) {
    value = {load<W / 2>(from), load<W / 2>(from + W / 2)};
  } else if constexpr (Element<E>::kIsNarrow) {
#ifdef __AVX512BF16__
    // One instruction that puts them into upper halves, instead of one that widens and one that shifts.
    if constexpr (W == 16) {
      alignas(64) static constexpr uint16_t places[32] = {0, 0, 0, 1, 0, 2,  0, 3,  0, 4,  0, 5,  0, 6,  0, 7,
                                                          0, 8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15};
      __m256i narrow;
      memcpy(&narrow, from, sizeof(narrow));
      const __m512i wide =
          _mm512_maskz_permutexvar_epi16(0xAAAAAAAA, _mm512_load_si512(places), _mm512_castsi256_si512(narrow));
      memcpy(&value, &wide, sizeof(value));
      return value;
    }
#endif
    Vector<uint16_t, W> bits;
    memcpy(&bits, from, sizeof(bits));
    const Vector<uint32_t, W> wide = __builtin_convertvector(bits, Vector<uint32_t, W>) << 16;
    memcpy(&value, &wide, sizeof(value));
  } else {
    memcpy(&value, from, sizeof(value));
  }
  return value;
}

/// Rounds to the nearest where it narrows, ties to even; NaN stays NaN.
template <int W, typename E>
COHORT_INLINE void store(E* to, Vector<Wide<E>, W> value) {
  if constexpr (kIsHalved<Wide<E>, W>) {
    store<W / 2>(to, value.low);
    store<W / 2>(to + W / 2, value.high);
  } else if constexpr (Element<E>::kIsNarrow) {
#ifdef __AVX512BF16__
    // One instruction; it takes numbers below the smallest normal one for zero.
    if constexpr (W == 16) {
      const auto narrow = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(value));
      memcpy(to, &narrow, sizeof(narrow));
      return;
    }
#endif
    Vector<uint32_t, W> bits;
    memcpy(&bits, &value, sizeof(bits));
    const Vector<uint32_t, W> rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    const Vector<uint32_t, W> isNumber = (Vector<uint32_t, W>)((bits & 0x7FFFFFFF) <= 0x7F800000);
    const auto narrow = __builtin_convertvector((rounded & isNumber) | (0x7FC0 & ~isNumber), Vector<uint16_t, W>);
    memcpy(to, &narrow, sizeof(narrow));
  } else {
    memcpy(to, &value, sizeof(value));
  }
}

/// The value where `sign` is positive, else zero; where `sign` is NaN, the value, so that NaN is not hidden.
template <typename V>
COHORT_INLINE V whereNotNegative(V sign, V value) {
  return sign <= 0 ? V{} : value;
}
template <typename T, int W>
COHORT_INLINE Halves<T, W> whereNotNegative(Halves<T, W> sign, Halves<T, W> value) {
  return {whereNotNegative(sign.low, value.low), whereNotNegative(sign.high, value.high)};
}

template <typename V, typename T>
COHORT_INLINE V broadcast(T value) {
  if constexpr (sizeof(V) > kWidestBytes) {
    const auto half = broadcast<decltype(V::low)>(value);
    return {half, half};
  } else {
    return V{} + value;
  }
}

/// The elements added up from the first to the last, so that a sum is the same on every processor of one width.
template <int W, typename V>
COHORT_INLINE double total(V value) {
  double sum = 0;
  for (int i = 0; i < W; ++i) sum += static_cast<double>(value[i]);
  return sum;
}

}  // namespace
}  // namespace cohort
