/** The opcodes of pickle that only push a value read from the bytes behind them. */
import type { ByteReader } from './byteReader.ts';
import type { Refuses } from './globals.ts';
import { codes } from './opcodes.ts';
import { unescapePython2, unescapeUnicode } from './text.ts';
import type { PickleValue } from './values.ts';

/** The value that an opcode stands for; undefined when it is not one of these. */
export function readConstant(code: number, reader: ByteReader, refuses: Refuses): PickleValue | undefined {
  switch (code) {
    case codes.NONE:
      return null;
    case codes.NEWTRUE:
      return true;
    case codes.NEWFALSE:
      return false;
    case codes.EMPTY_DICT:
      return new Map();
    case codes.EMPTY_LIST:
    case codes.EMPTY_TUPLE:
    case codes.EMPTY_SET:
      return [];
    case codes.SHORT_BINBYTES:
      return reader.bytes(reader.byte());
    case codes.BINBYTES:
      return reader.bytes(reader.uint32());
    case codes.BINBYTES8:
    case codes.BYTEARRAY8:
      return reader.bytes(reader.uint64());
    default:
      return readNumber(code, reader) ?? readText(code, reader, refuses);
  }
}

function readNumber(code: number, reader: ByteReader): number | bigint | boolean | undefined {
  switch (code) {
    case codes.INT:
      return integerLine(reader);
    case codes.LONG:
      return reader.decimal();
    case codes.BININT:
      return reader.int32();
    case codes.BININT1:
      return reader.byte();
    case codes.BININT2:
      return reader.uint16();
    case codes.LONG1:
      return reader.integer(reader.byte());
    case codes.LONG4:
      return reader.integer(reader.uint32());
    case codes.FLOAT:
      return reader.floatLine();
    case codes.BINFLOAT:
      return reader.float64();
    default:
      return undefined;
  }
}

function readText(code: number, reader: ByteReader, refuses: Refuses): string | undefined {
  switch (code) {
    case codes.STRING:
      return unescapePython2(reader.line(), refuses);
    case codes.SHORT_BINSTRING:
      return reader.take(reader.byte(), 'text').toString('latin1');
    case codes.BINSTRING:
      return reader.take(reader.uint32(), 'text').toString('latin1');
    case codes.UNICODE:
      return unescapeUnicode(reader.line(), refuses);
    case codes.SHORT_BINUNICODE:
      return reader.text(reader.byte());
    case codes.BINUNICODE:
      return reader.text(reader.uint32());
    case codes.BINUNICODE8:
      return reader.text(reader.uint64());
    default:
      return undefined;
  }
}

/** Protocols 0 and 1 write booleans as the integers 00 and 01. */
function integerLine(reader: ByteReader): number | bigint | boolean {
  const line = reader.line();
  if (line === '00' || line === '01') return line === '01';
  return reader.decimal(line);
}
