/** The part of Protocol Buffers' wire format that event files and ONNX need: messages put together field by field. */

/** https://protobuf.dev/programming-guides/encoding: how the value of a field is written. */
const WIRE_TYPES = { varint: 0, fixed64: 1, length: 2, fixed32: 5 } as const;

/** A message as bytes. */
export class Message {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** `int64`, `enum`, `bool`: whole numbers within +-(2^53 - 1). */
  whole(field: number, value: number): this {
    return this.#put(field, 'varint', [value < 0 ? negativeVarint(value) : varint(value)]);
  }

  /** `double` */
  double(field: number, value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return this.#put(field, 'fixed64', [bytes]);
  }

  /** `float` */
  float(field: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return this.#put(field, 'fixed32', [bytes]);
  }

  /** `string`, or `bytes` that hold text. */
  text(field: number, value: string): this {
    return this.#lengthed(field, Buffer.from(value, 'utf8'));
  }

  /** `bytes` */
  raw(field: number, value: Uint8Array): this {
    return this.#lengthed(field, value);
  }

  /** Another message inside this one. */
  message(field: number, value: Message): this {
    return this.#put(field, 'length', [varint(value.#length)]).#append(value.#parts);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #lengthed(field: number, bytes: Uint8Array): this {
    return this.#put(field, 'length', [varint(bytes.length), bytes]);
  }

  #put(field: number, type: keyof typeof WIRE_TYPES, contents: readonly Uint8Array[]): this {
    return this.#append([varint(field * 8 + WIRE_TYPES[type])]).#append(contents);
  }

  /** Contents are kept as they are until `bytes`, so that the weights of a network are copied once. */
  #append(parts: readonly Uint8Array[]): this {
    for (const part of parts) {
      this.#parts.push(part);
      this.#length += part.length;
    }
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

/** The wire format has negative numbers as 64 bits in two's complement: ten bytes. */
function negativeVarint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  return Uint8Array.from({ length: 10 }, (_, index) => {
    const bits = Number(rest & 127n);
    rest >>= 7n;
    return index < 9 ? bits + 128 : bits;
  });
}
