/** Arrays of numbers from base64. */

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

/** Uint8. */
export const decodeBytes = bytesOf;

/** Uint16, little-endian. */
export function decodeUint16(text: string): Uint16Array {
  return new Uint16Array(bytesOf(text).buffer);
}

/** Int16, little-endian. */
export function decodeInt16(text: string): Int16Array {
  return new Int16Array(bytesOf(text).buffer);
}

/** Float32, little-endian. */
export function decodeFloat32(text: string): Float32Array {
  return new Float32Array(bytesOf(text).buffer);
}
