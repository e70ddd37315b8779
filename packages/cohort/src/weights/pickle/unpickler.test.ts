/** Pickles that Python wrote, in every protocol, and what hostile or damaged ones come to: one typed error, nothing run. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  entryOf,
  NumpyArray,
  OpaqueObject,
  PickledObject,
  PickleError,
  unpickle,
  type PickleValue,
} from './index.ts';

const protocols = [0, 1, 2, 3, 4, 5];

function fixture(protocol: number): Uint8Array {
  return readFileSync(new URL(`../../../fixtures/python/values-${protocol}.pkl`, import.meta.url));
}

function read(bytes: Uint8Array | string): PickleValue {
  return unpickle(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, { source: 'a file' })
    .value;
}

function errorOf(bytes: Uint8Array | string): PickleError {
  try {
    read(bytes);
  } catch (error) {
    if (error instanceof PickleError) return error;
    throw error;
  }
  throw new Error('expected a PickleError, but nothing was thrown');
}

function arrayOf(value: PickleValue | undefined): NumpyArray {
  if (value instanceof NumpyArray) return value;
  throw new Error('expected an array');
}

describe.each(protocols)('values that Python pickled with protocol %i', (protocol) => {
  const bytes = fixture(protocol);
  const value = read(bytes);
  const at = (key: string): PickleValue | undefined => entryOf(value, key);

  it('keeps numbers, text, bytes and containers', () => {
    expect(at('text')).toBe("a'\\\né€\u{1f600}");
    expect(at('integers')).toEqual([
      ...[0, -1, 255, 256, 65535, 65536, -(2 ** 31), 2 ** 31, 2 ** 53 - 1],
      ...[2n ** 53n + 1n, -(2n ** 70n)],
    ]);
    expect(at('constants')).toEqual([true, false, null]);
    expect(at('floats')).toEqual([1.5, -0, 1e-5, Infinity, 1e300]);
    expect(at('bytes')).toEqual(Uint8Array.of(0, 255));
    expect(at('bytearray')).toEqual(Uint8Array.of(120, 121));
    expect(at('tuples')).toEqual([[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]]);
    expect(at('empty')).toEqual([[], new Map()]);
    expect(at('sets')).toEqual([[1], [2]]);
    expect(at('many')).toEqual(Array.from({ length: 300 }, (_, index) => index));
    expect(at('dictionaries')).toEqual([
      new Map([['a', 1]]),
      new Map([['b', [2]]]),
      new Map([['c', 2]]),
      new Map<PickleValue, PickleValue>([
        ['data', 3],
        [4, 5],
      ]),
    ]);
  });

  it('keeps arrays as bytes with shape, type, byte order and order, and scalars as numbers', () => {
    const bigEndian = arrayOf(at('bigEndian'));
    expect(bigEndian.shape).toEqual([2, 3]);
    expect(bigEndian.dtype).toMatchObject({ typeName: 'int16', itemBytes: 2, littleEndian: false });
    expect(bigEndian.data).toEqual(Uint8Array.of(0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5));
    const fortran = arrayOf(at('fortran'));
    expect(fortran.isFortranOrder).toBe(true);
    expect(fortran.dtype).toMatchObject({ typeName: 'float32', littleEndian: true });
    const numbers = new Float32Array(Uint8Array.from(fortran.data).buffer);
    expect([...numbers]).toEqual([0, 3, 1, 4, 2, 5]);
    expect(arrayOf(at('bytesArray')).data).toEqual(Uint8Array.of(250, 251, 252, 253, 254, 255));
    expect(arrayOf(at('none')).shape).toEqual([0, 3]);
    expect(at('again')).toBe(at('bytesArray'));
    expect(at('scalars')).toEqual([2.5, 0.25, -3n, 200, true]);
  });

  it('represents harmless objects without making them', () => {
    const namespace = at('namespace');
    expect(namespace instanceof OpaqueObject && namespace.state).toEqual(new Map([['rate', 0.5]]));
    const globals = ['path', 'date'].map((key) => {
      const object = at(key);
      return object instanceof PickledObject ? object.global : object;
    });
    expect(globals).toEqual(['pathlib.PurePosixPath', 'datetime.date']);
  });

  it('calls a cut of the file truncated, and says where it ends', () => {
    expect(unpickle(bytes, { source: 'a file' }).end).toBe(bytes.length);
    for (let length = 0; length < bytes.length; length += 11) {
      expect(errorOf(bytes.subarray(0, length)).kind, `cut to ${length}`).toBe('truncated');
    }
  });

  it('comes to a value or a typed error when a byte is changed', () => {
    const changed = Uint8Array.from(bytes);
    const outcomes = { value: 0, error: 0 };
    for (let index = protocol; index < bytes.length; index += 13) {
      for (const change of [0x01, 0x80, 0xff]) {
        changed[index] = (bytes[index] ?? 0) ^ change;
        try {
          read(changed);
          outcomes.value += 1;
        } catch (error) {
          if (!(error instanceof PickleError)) throw error;
          outcomes.error += 1;
        }
      }
      changed[index] = bytes[index] ?? 0;
    }
    expect(outcomes.value).toBeGreaterThan(0);
    expect(outcomes.error).toBeGreaterThan(0);
  });
});

describe('pickles of Python 2', () => {
  it('reads arrays whose bytes are text, as in the CIFAR files', () => {
    const text = [
      "(dp1\nS'labels'\np2\n(lp3\nI6\naI9\nasS'data'\np4\n",
      "cnumpy.core.multiarray\n_reconstruct\np5\n(cnumpy\nndarray\np6\n(I0\ntS'b'\ntR(I1\n(I2\nI2\nt",
      "cnumpy\ndtype\np7\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\xff\\n\\''\ntbs.",
    ].join('');
    const value = read(text);
    expect(entryOf(value, 'labels')).toEqual([6, 9]);
    const array = arrayOf(entryOf(value, 'data'));
    expect([array.shape, array.dtype.typeName, array.data]).toEqual([
      [2, 2],
      'uint8',
      Uint8Array.of(0, 255, 10, 39),
    ]);
  });

  it('reads dictionaries and objects as protocols 0 and 1 write them', () => {
    expect(read("ccollections\nOrderedDict\n((lp0\n(S'a'\nI1\ntatR.")).toEqual(new Map([['a', 1]]));
    const namespace = read(
      "ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nc__builtin__\nobject\nNtR(dS'a'\nI1\nsb.",
    );
    expect(namespace instanceof OpaqueObject && namespace.state).toEqual(new Map([['a', 1]]));
    expect(read("(S'a'\nI2\niargparse\nNamespace\n.")).toMatchObject({ args: ['a', 2] });
  });
});

describe('pickles that want more than data', () => {
  it.each([
    ['os.system by GLOBAL and REDUCE', "cos\nsystem\n(S'touch /tmp/x'\ntR.", 'os.system'],
    [
      'posix.system by STACK_GLOBAL',
      '\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.',
      'posix.system',
    ],
    ['subprocess.Popen by INST', "(S'id'\nisubprocess\nPopen\n.", 'subprocess.Popen'],
    ['eval by OBJ', '(c__builtin__\neval\nI1\no.', '__builtin__.eval'],
    ['a name that climbs attributes', '\x80\x04\x8c\x05numpy\x8c\x0bos.system..\x93.', 'numpy.os.system..'],
    ['a class by its prototype', 'c__proto__\nconstructor\n.', '__proto__.constructor'],
  ])('refuses %s by its name', (_, pickle, name) => {
    const error = errorOf(pickle);
    expect([error.kind, error.global]).toEqual(['global', name]);
    expect(error.message).toContain(`expected tensors, arrays and plain data only, got ${name} at byte`);
  });

  it('tells a program from a model object', () => {
    expect(errorOf('cos\nsystem\n.').message).toContain(
      'which was not run. The file wants to run code; if that surprises you, delete it',
    );
    expect(errorOf('ctorchvision.models.resnet\nResNet\n.').message).toContain(
      'It holds an object of a class of its own (a whole model, a configuration), not only data. In Python, load it where you trust it and save the weights alone: torch.save(model.state_dict(), path).',
    );
  });

  it.each([
    ['EXT1', '\x80\x02\x82\x01.'],
    ['NEXT_BUFFER', '\x80\x05\x97.'],
  ])('does not know %s, whose data lie elsewhere', (name, pickle) => {
    const error = errorOf(pickle);
    expect(error.kind).toBe('unsupported');
    expect(error.message).toContain(`the opcode ${name}`);
  });

  it('has no use for references to data outside unless told how to read them', () => {
    expect(errorOf("S'x'\nQ.").message).toContain('a reference to data outside of it');
    const value = unpickle(Buffer.from('\x80\x02K\x05Q.', 'latin1'), {
      source: 'x',
      persistentLoad: (id) => [id],
    });
    expect(value.value).toEqual([5]);
  });
});

describe('hostile pickles', () => {
  const repeated = (part: string, times: number): string => part.repeat(times);

  it.each([
    ['text of 4 GB', 'X\xff\xff\xff\xffabc', 'truncated', '4294967295 bytes of text'],
    [
      'bytes of 2^63',
      '\x80\x04\x8e\x00\x00\x00\x00\x00\x00\x00\x80',
      'limit',
      'a length of 9223372036854775808',
    ],
    [
      'a frame past the end',
      '\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00N.',
      'truncated',
      'a frame of 255 bytes',
    ],
    [
      'an integer of megabytes',
      `\x80\x02\x8b\x00\x00\x10\x00${repeated('a', 1 << 20)}.`,
      'limit',
      'an integer of',
    ],
    ['an integer of many digits', `I${repeated('9', 100_000)}\n.`, 'limit', 'an integer of 100000 digits'],
    ['a list that contains itself', ']q\x00h\x00a.', 'limit', 'an object that contains itself'],
    [
      'a cycle through an object',
      'cargparse\nNamespace\n)\x81q\x00}K\x01h\x00sb.',
      'limit',
      'contains itself',
    ],
    [
      'deep nesting',
      `${repeated('(', 100_000)}${repeated('l', 100_000)}.`,
      'limit',
      'nested more than 200 deep',
    ],
    [
      'a call that calls itself',
      ']q\x00(ctorch._tensor\n_rebuild_from_type_v2\nq\x01Nh\x00eh\x01h\x00R.',
      'format',
      'a rebuilding function',
    ],
    [
      'a copy made over and over',
      `X\x00\x40\x00\x00${repeated('a', 16384)}X\x06\x00\x00\x00latin1\x86q\x000${repeated('c_codecs\nencode\nh\x00R0', 20)}N.`,
      'limit',
      'one that copies over and over',
    ],
    [
      'an array longer than its bytes',
      '\x80\x03cnumpy.core.numeric\n_frombuffer\n(C\x02abcnumpy\ndtype\nX\x02\x00\x00\x00f8\x85RJ\xff\xff\xff\x7f\x85X\x01\x00\x00\x00CtR.',
      'format',
      'got 2',
    ],
    ['an empty stack', '.', 'format', 'a value on the stack'],
    ['a lost mark', '(N.', 'format', 'every mark to be used'],
    ['no mark', 't.', 'format', 'a mark on the stack'],
    ['an unknown memo', 'h\x07.', 'format', 'a value that was remembered before'],
    ['a call of text', "S'x'\n)R.", 'format', 'a class or function to call'],
    ['a byte that is no opcode', '\xfe.', 'format', 'byte 0xfe'],
    ['an odd number of items', '}(K\x01u.', 'format', 'pairs of key and value'],
    ['text that is no UTF-8', 'X\x01\x00\x00\x00\xff.', 'format', 'text in UTF-8'],
    ['a protocol of the future', '\x80\x06N.', 'unsupported', 'protocol 6'],
    ['nothing', '', 'truncated', 'a pickle that ends after 0'],
  ])('refuses %s', (_, pickle, kind, text) => {
    const error = errorOf(pickle);
    expect(error.message).toContain(text);
    expect(error.kind).toBe(kind);
    expect(error.message).toContain('reading the pickle of a file: expected');
  });

  it('allows what occurs in many places, however often', () => {
    // Each level holds the one before twice: a walk that follows every path would take 2^100 steps.
    const value = read(`]q\x00${'(h\x00h\x00lq\x00'.repeat(100)}.`);
    expect(Array.isArray(value) && value.length).toBe(2);
  });
});
