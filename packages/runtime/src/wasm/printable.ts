/**
 * Reads compiled kernels out of program text. A byte is one printable character, of one byte or two in UTF-8: that takes more room than
 * compressing them here and base64, but what compresses pages on their way sees the repetitions, and nothing is inflated.
 */

/** Turned by this much, most bytes of the kernels are characters of one byte. */
const turn = 9;
/** Characters from the space to the tilde, and where the others begin: after control characters and the soft hyphen. */
const plain = 95;
const first = 32;
const afterControls = 174;

/** The text that holds these bytes. */
export function encodePrintable(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => {
    const value = (byte + turn) & 255;
    return String.fromCharCode(value < plain ? value + first : value - plain + afterControls);
  }).join('');
}

/** The bytes that a text holds. */
export function decodePrintable(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < bytes.length; index++) {
    const code = text.charCodeAt(index);
    bytes[index] = (code < afterControls ? code - first : code - afterControls + plain) - turn;
  }
  return bytes;
}
