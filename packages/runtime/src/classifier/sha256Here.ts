/** SHA-256 (FIPS 180-4) where Web Crypto is missing: pages that are served without https. */

const fractionBits = 2 ** 32;

/** First 32 bits of the fractional parts of roots of the first primes, section 4.2.2 and 5.3.3. */
function rootsOfPrimes(count: number, root: (prime: number) => number): Uint32Array {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate++) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  }
  return Uint32Array.from(found, (prime) => (root(prime) % 1) * fractionBits);
}

const rotate = (value: number, bits: number): number => (value >>> bits) | (value << (32 - bits));

/** The 32 bytes of the digest. */
export function sha256Here(bytes: Uint8Array): Uint8Array {
  const constants = rootsOfPrimes(64, Math.cbrt);
  const state = rootsOfPrimes(8, Math.sqrt);
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 128;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  const words = new Uint32Array(64);
  const at = (array: Uint32Array, index: number): number => array[index] ?? 0;
  for (let offset = 0; offset < padded.length; offset += 64) {
    for (let index = 0; index < 16; index++) words[index] = view.getUint32(offset + 4 * index);
    for (let index = 16; index < 64; index++) {
      const [early, late] = [at(words, index - 15), at(words, index - 2)];
      const small = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
      const large = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
      words[index] = at(words, index - 16) + small + at(words, index - 7) + large;
    }
    let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
    for (let index = 0; index < 64; index++) {
      const choice = (e & f) ^ (~e & g);
      const sum =
        h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice + at(constants, index) + at(words, index);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      const other = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + sum) | 0, c, b, a, (sum + other) | 0];
    }
    for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) state[index] = at(state, index) + value;
  }
  const digest = new DataView(new ArrayBuffer(32));
  for (const [index, value] of state.entries()) digest.setUint32(4 * index, value);
  return new Uint8Array(digest.buffer);
}
