/** PyTorch's tensors and storages as pickles hold them: descriptions only; the numbers lie outside the pickle. */
import type { AllowedGlobals, ConstructorContext, PickleConstructor } from './globals.ts';
import { OpaqueObject, PickledObject, type PickleValue } from './values.ts';

/** PyTorch's element types that are read, by the names of their storage classes. */
const storageTypes = {
  ByteStorage: 'uint8',
  CharStorage: 'int8',
  ShortStorage: 'int16',
  IntStorage: 'int32',
  LongStorage: 'int64',
  HalfStorage: 'float16',
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
  BoolStorage: 'bool',
  BFloat16Storage: 'bfloat16',
} as const;

/** Element type of a tensor in a checkpoint. */
export type TorchTypeName = (typeof storageTypes)[keyof typeof storageTypes];

/** Storage classes of complex and quantised numbers: known, so that their refusal can say what they are. */
const foreignStorages = [
  'ComplexFloatStorage',
  'ComplexDoubleStorage',
  'QInt8Storage',
  'QUInt8Storage',
  'QInt32Storage',
  'QUInt4x2Storage',
];

/** Storages without an element type, from PyTorch 2: the tensor says it. */
const untypedStorages = [
  'torch.UntypedStorage',
  'torch.storage.UntypedStorage',
  'torch.storage._UntypedStorage',
];

const typesOfStorages: ReadonlyMap<string, TorchTypeName | null> = new Map<string, TorchTypeName | null>([
  ...Object.entries(storageTypes).map(([name, type]): [string, TorchTypeName] => [`torch.${name}`, type]),
  ...untypedStorages.map((name): [string, null] => [name, null]),
]);

const typeNames: ReadonlySet<string> = new Set(Object.values(storageTypes));

function isTypeName(name: string): name is TorchTypeName {
  return typeNames.has(name);
}

/** A run of numbers outside the pickle, which tensors look into. */
export class TorchStorage extends PickledObject {
  /** Its name in the archive, or its number in the legacy format. */
  readonly key: string;
  /** Element type; null for one that counts bytes. */
  readonly type: TorchTypeName | null;
  /** How many elements (bytes where there is no type). */
  readonly elements: number;

  constructor(key: string, type: TorchTypeName | null, elements: number) {
    super('torch.storage');
    this.key = key;
    this.type = type;
    this.elements = elements;
  }
}

/** A tensor: a strided window into a storage. Not compared with the storage's size yet. */
export class TorchTensor extends PickledObject {
  readonly storage: TorchStorage;
  readonly type: TorchTypeName;
  /** Of the first element, in elements. */
  readonly offset: number;
  readonly shape: readonly number[];
  /** Elements from one index to the next; never negative. */
  readonly strides: readonly number[];

  constructor(
    storage: TorchStorage,
    type: TorchTypeName,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    super('torch.Tensor');
    this.storage = storage;
    this.type = type;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** A tensor of a kind that is not read; others in the same file are. */
export class UnreadTensor extends PickledObject {
  /** Its kind, for messages: `torch.ComplexFloatStorage`, `quantised`. */
  readonly type: string;
  /** Empty where the kind does not say. */
  readonly shape: readonly number[];

  constructor(type: string, shape: readonly number[]) {
    super('torch.Tensor');
    this.type = type;
    this.shape = shape;
  }
}

/** A storage of numbers that are not read. */
export class UnreadStorage extends PickledObject {}

/**
 * The storage that a persistent id of a checkpoint names: `('storage', class, key, location, elements)`, in the legacy
 * format with a view at its end.
 */
export function storageOfPersistentId(
  id: PickleValue,
  context: ConstructorContext,
): TorchStorage | UnreadStorage {
  const [tag, type, key, location, elements, view = null] = Array.isArray(id) ? id : [];
  const isPlain = tag === 'storage' && type instanceof PickledObject && typeof location === 'string';
  if (!isPlain || !isSize(elements) || (typeof key !== 'string' && typeof key !== 'number')) {
    throw context.malformed('a storage as the persistent id', 'another value');
  }
  if (view !== null) {
    throw context.unsupported('whole storages', 'a view of a storage, as PyTorch wrote before version 0.4');
  }
  const elementType = typesOfStorages.get(type.global);
  if (elementType === undefined) return new UnreadStorage(type.global);
  return new TorchStorage(`${key}`, elementType, elements);
}

function isSize(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isSizes(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.length <= 64 && value.every(isSize);
}

function rebuild(
  [storage, offset, shape, strides]: readonly PickleValue[],
  context: ConstructorContext,
  type?: TorchTypeName,
): TorchTensor | UnreadTensor {
  if (storage instanceof UnreadStorage) return unreadTensor(storage.global, shape, context);
  const isSound = storage instanceof TorchStorage && isSize(offset) && isSizes(shape) && isSizes(strides);
  if (!isSound || shape.length !== strides.length) {
    throw context.malformed('a storage, an offset, a shape and strides for a tensor', 'other arguments');
  }
  const elementType = type ?? storage.type;
  if (elementType === null) throw context.malformed('a tensor with an element type', 'none');
  // Copies: a hostile pickle can go on changing a list that it has remembered.
  context.spend(2 * shape.length);
  return new TorchTensor(storage, elementType, offset, [...shape], [...strides]);
}

function unreadTensor(
  type: string,
  shape: PickleValue | undefined,
  context: ConstructorContext,
): UnreadTensor {
  const sizes = isSizes(shape) ? shape : [];
  context.spend(sizes.length);
  return new UnreadTensor(type, [...sizes]);
}

const rebuildTensor: PickleConstructor = { call: (args, context) => rebuild(args, context) };

/** As the second version, with the element type behind the hooks, for types that have no storage class. */
const rebuildTensor3: PickleConstructor = {
  call: (args, context) => {
    const type = args[6];
    const name = type instanceof PickledObject ? type.global.replace(/^torch\./, '') : '';
    if (!isTypeName(name)) return unreadTensor(name || 'no type', args[2], context);
    return rebuild(args, context, name);
  },
};

/** `_rebuild_parameter(tensor, requires_grad, hooks)`: the tensor. */
const rebuildParameter: PickleConstructor = {
  call: ([tensor], context) => {
    if (!(tensor instanceof TorchTensor || tensor instanceof UnreadTensor))
      throw context.malformed('a tensor for a parameter', 'another value');
    return tensor;
  },
};

/** `_rebuild_from_type_v2(function, class, arguments, state)`: a tensor with attributes, which are dropped. */
const rebuildFromType: PickleConstructor = {
  call: ([rebuilder, , args], context) => {
    // Only the inner kind: a pickle that wraps this call in itself would never end.
    const isInner =
      rebuilder instanceof PickledObject && rebuilder.global.startsWith('torch._utils._rebuild_');
    if (!isInner || !Array.isArray(args)) {
      throw context.malformed('a rebuilding function and its arguments', 'other arguments');
    }
    return context.construct(rebuilder, args);
  },
};

const size: PickleConstructor = {
  call: ([sizes], context) => {
    if (!Array.isArray(sizes)) throw context.malformed('the sizes of a torch.Size', 'another value');
    return sizes;
  },
};

const device: PickleConstructor = { call: (args, _context, global) => new OpaqueObject(global, args) };

const unread = (what: string): PickleConstructor => ({
  call: (args, context) => unreadTensor(what, args[2], context),
});

const dtypeNames = [
  ...typeNames,
  ...['uint16', 'uint32', 'uint64', 'complex64', 'complex128', 'qint8', 'quint8', 'qint32'],
  ...['float8_e4m3fn', 'float8_e5m2', 'float8_e4m3fnuz', 'float8_e5m2fnuz', 'float8_e8m0fnu', 'complex32'],
];

/** PyTorch's tensors, storages and what else checkpoints hold. */
export const torchGlobals: AllowedGlobals = new Map<string, PickleConstructor>([
  ...[...typesOfStorages.keys(), ...foreignStorages.map((name) => `torch.${name}`)].map(
    (name): [string, PickleConstructor] => [name, {}],
  ),
  ...dtypeNames.map((name): [string, PickleConstructor] => [`torch.${name}`, {}]),
  ...['torch.strided', 'torch.contiguous_format', 'torch.channels_last', 'torch.preserve_format'].map(
    (name): [string, PickleConstructor] => [name, {}],
  ),
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_tensor_v3', rebuildTensor3],
  ['torch._utils._rebuild_parameter', rebuildParameter],
  ['torch._utils._rebuild_parameter_with_state', rebuildParameter],
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  ['torch.serialization._get_layout', { call: () => null }],
  ['torch._utils._rebuild_qtensor', unread('quantised')],
  ['torch._utils._rebuild_sparse_tensor', unread('sparse')],
  ['torch._utils._rebuild_meta_tensor_no_storage', unread('without numbers, on the meta device')],
  ['torch.nn.parameter.Parameter', {}],
  ['torch.Tensor', {}],
  ['torch._C._TensorBase', {}],
  ['torch.Size', size],
  ['torch.device', device],
]);
