/** Fixtures in the formats that datasets come in: tar, zip, CIFAR's records and pickles, made by hand so that tests need no tools. */
import { hashKeys } from './loading/random.ts';

/** A member of an archive to be made. */
export interface MadeMember {
  readonly name: string;
  readonly content?: Uint8Array;
  /** `0` (a file) unless given. */
  readonly type?: string;
  /** Written as it stands, true or not. */
  readonly size?: number;
}

/** A tar archive (ustar) with its two closing blocks. */
export function tarBytes(members: readonly MadeMember[]): Buffer {
  const blocks = members.flatMap(({ name, content = new Uint8Array(0), type = '0', size }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write('0000644', 100);
    header.write((size ?? content.length).toString(8).padStart(11, '0'), 124);
    header.write(type, 156);
    header.write('ustar\0' + '00', 257);
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A zip archive of stored members. */
export function zipBytes(members: readonly MadeMember[]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { name, content = new Uint8Array(0) } of members) {
    const bytes = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x0800, 2);
    common.writeUInt32LE(checksum(content), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(bytes.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, bytes, content]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    central.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\0'), common, tail, bytes]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

/** CIFAR's binary form: label bytes, then 3,072 bytes a picture. */
export function cifarRecords(pictures: Uint8Array, labels: readonly (readonly number[])[]): Buffer {
  return Buffer.concat(
    labels.flatMap((label, index) => [
      Uint8Array.from(label),
      pictures.subarray(index * 3072, (index + 1) * 3072),
    ]),
  );
}

/** Pseudo-random bytes. */
export function madeUpBytes(count: number, key = 1): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => hashKeys(key, index) & 0xff);
}

const text = (characters: string): Buffer => Buffer.from(characters, 'latin1');

/** Python 2's `str`, as protocol 2 writes it. */
function pickledString(value: Uint8Array): Buffer {
  if (value.length < 256) return Buffer.concat([text('U'), Buffer.from([value.length]), value]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  return Buffer.concat([text('T'), length, value]);
}

function pickledInteger(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.write('J', 0, 'latin1');
  bytes.writeInt32LE(value, 1);
  return bytes;
}

/** CIFAR's python form as Python 2's cPickle wrote it: protocol 2, `str` keys, an array of uint8 and a list of labels. */
export function cifarPickle(pictures: Uint8Array, key: string, labels: readonly number[]): Buffer {
  const array = [
    text('cnumpy.core.multiarray\n_reconstruct\n'),
    text('cnumpy\nndarray\n'),
    Buffer.concat([pickledInteger(0), text('\x85'), pickledString(text('b')), text('\x87R')]),
    Buffer.concat([
      text('('),
      pickledInteger(1),
      pickledInteger(labels.length),
      pickledInteger(3072),
      text('\x86'),
    ]),
    Buffer.concat([
      text('cnumpy\ndtype\n'),
      pickledString(text('u1')),
      pickledInteger(0),
      pickledInteger(1),
      text('\x87R'),
    ]),
    Buffer.concat([text('('), pickledInteger(3), pickledString(text('|')), text('NNN')]),
    Buffer.concat([pickledInteger(-1), pickledInteger(-1), pickledInteger(0), text('tb')]),
    Buffer.concat([text('\x89'), pickledString(pictures), text('tb')]),
  ];
  return Buffer.concat([
    text('\x80\x02}('),
    ...[pickledString(text('batch_label')), pickledString(text('training batch 1 of 5'))],
    ...[pickledString(text(key)), text(']('), ...labels.map(pickledInteger), text('e')],
    ...[pickledString(text('data')), ...array],
    text('u.'),
  ]);
}

/** CRC-32, bit by bit; Node's own came with a later version than the oldest that is supported. */
function checksum(content: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of content) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
