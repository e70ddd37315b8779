/** The part of Protocol Buffers' wire format that event files need: messages put together field by field. */

/** https://protobuf.dev/programming-guides/encoding: how the value of a field is written. */
const WIRE_TYPES = { varint: 0, fixed64: 1, length: 2, fixed32: 5 } as const;

/** A message as bytes. */
export class Message {
  readonly #parts: Uint8Array[] = [];

  /** `int64`, `enum`, `bool`: whole numbers from 0 to 2^53 - 1. */
  whole(field: number, value: number): this {
    return this.#put(field, 'varint', varint(value));
  }

  /** `double` */
  double(field: number, value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return this.#put(field, 'fixed64', bytes);
  }

  /** `float` */
  float(field: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return this.#put(field, 'fixed32', bytes);
  }

  /** `string`, or `bytes` that hold text. */
  text(field: number, value: string): this {
    return this.#lengthed(field, Buffer.from(value, 'utf8'));
  }

  /** Another message inside this one. */
  message(field: number, value: Message): this {
    return this.#lengthed(field, value.bytes());
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #lengthed(field: number, bytes: Uint8Array): this {
    return this.#put(field, 'length', Buffer.concat([varint(bytes.length), bytes]));
  }

  #put(field: number, type: keyof typeof WIRE_TYPES, bytes: Uint8Array): this {
    this.#parts.push(varint(field * 8 + WIRE_TYPES[type]), bytes);
    return this;
  }
}

/** Seven bits a byte, the lowest first. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Uint8Array.from([...bytes, rest]);
}
