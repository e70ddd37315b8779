/** Reads protocol buffers, the encoding of ONNX files, without ever leaving the bytes that it was given. */
import { ModelFileError } from '../errors.ts';

/** How a field is encoded: variable-length integer, 8 bytes, length-delimited or 4 bytes. */
export type WireType = 0 | 1 | 2 | 5;

const cutShort = (): ModelFileError =>
  new ModelFileError('The model file is cut short or damaged. Copy or export it again.');

/** A message: call `next` until it returns false, and after each either read the field's value or `skip` it. */
export class MessageReader {
  /** Number of the current field. */
  field = 0;
  /** Encoding of the current field. */
  wireType: WireType = 0;
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Moves to the next field. @throws {ModelFileError} on bytes that are no field */
  next(): boolean {
    if (this.#position >= this.#bytes.length) return false;
    const key = this.#varint();
    const wireType = Number(key & 7n);
    const field = key >> 3n;
    if (field === 0n || field > 536_870_911n) throw cutShort();
    if (wireType !== 0 && wireType !== 1 && wireType !== 2 && wireType !== 5) throw cutShort();
    this.field = Number(field);
    this.wireType = wireType;
    return true;
  }

  skip(): void {
    if (this.wireType === 0) this.#varint();
    else if (this.wireType === 1) this.#take(8);
    else if (this.wireType === 2) this.bytes();
    else this.#take(4);
  }

  /** A signed integer within JavaScript's exact integers. */
  integer(): number {
    this.#expect(0);
    const value = Number(BigInt.asIntN(64, this.#varint()));
    if (!Number.isSafeInteger(value)) return value < 0 ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
    return value;
  }

  float(): number {
    this.#expect(5);
    return view(this.#take(4)).getFloat32(0, true);
  }

  bytes(): Uint8Array {
    this.#expect(2);
    const length = this.#varint();
    if (length > BigInt(this.#bytes.length)) throw cutShort();
    return this.#take(Number(length));
  }

  text(): string {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(this.bytes());
    } catch {
      throw cutShort();
    }
  }

  message(): MessageReader {
    return new MessageReader(this.bytes());
  }

  /** Appends a repeated integer, packed or not. */
  integers(into: number[]): void {
    if (this.wireType === 0) {
      into.push(this.integer());
      return;
    }
    const packed = new MessageReader(this.bytes());
    packed.wireType = 0;
    while (packed.#position < packed.#bytes.length) into.push(packed.integer());
  }

  /** Appends a repeated float, packed or not. */
  floats(into: number[]): void {
    if (this.wireType === 5) {
      into.push(this.float());
      return;
    }
    const bytes = this.bytes();
    if (bytes.length % 4 !== 0) throw cutShort();
    const values = view(bytes);
    for (let offset = 0; offset < bytes.length; offset += 4) into.push(values.getFloat32(offset, true));
  }

  #expect(wireType: WireType): void {
    if (this.wireType !== wireType) throw cutShort();
  }

  #take(length: number): Uint8Array {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw cutShort();
    const taken = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return taken;
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#position++];
      if (byte === undefined) throw cutShort();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw cutShort();
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
