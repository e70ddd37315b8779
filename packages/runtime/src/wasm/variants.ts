/** Makes of the compiled kernels those for every engine with SIMD, or those with the fused multiply-add of relaxed SIMD. */

/** Instructions of three bytes each, and three that do nothing. */
const instructions = {
  multiply: [0xfd, 0xe6, 0x01],
  add: [0xfd, 0xe4, 0x01],
  multiplyAdd: [0xfd, 0x85, 0x02],
  nothing: [0x01, 0x01, 0x01],
} as const;

/** Second bytes of the instructions that stand for a product and for a sum: `f64x2.div` and `f64x2.sub`. */
const placeholders = { product: 0xf3, sum: 0xf1 } as const;

/**
 * @param template kernels as compiled: `multiplyAdd` in `kernels/arithmetic.ts` says what is replaced
 * @param fused whether the engine has relaxed SIMD
 */
export function kernelVariant(template: Uint8Array, fused: boolean): Uint8Array<ArrayBuffer> {
  const binary = new Uint8Array(template);
  const { multiply, add, multiplyAdd, nothing } = instructions;
  for (let at = binary.indexOf(0xfd); at >= 0; at = binary.indexOf(0xfd, at + 1)) {
    if (binary[at + 2] !== 1) continue;
    if (binary[at + 1] === placeholders.product) binary.set(fused ? nothing : multiply, at);
    if (binary[at + 1] === placeholders.sum) binary.set(fused ? multiplyAdd : add, at);
  }
  return binary;
}
