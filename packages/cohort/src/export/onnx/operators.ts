/** How each of the engine's operators is said in ONNX: all that the architectures and the methods' ensembles call. */
import { at } from '../../support/at.ts';
import type { OperatorType } from './graph.ts';
import type { TracedCall, TracedValue } from './tracedCall.ts';

/**
 * Adds nodes for a call; gives the name of its result, with its batch dimension where that is not the argument's, or the
 * names of several results.
 */
type Translation = (call: TracedCall) => string | TracedValue | readonly string[];

/** Operators whose result may share memory with their first argument. */
const views: ReadonlySet<string> = new Set([
  'contiguous',
  'detach',
  'dropout',
  'flatten',
  'narrow',
  'permute',
  'reshape',
  'squeeze',
  'to',
  'unsqueeze',
]);

/** Whether an operator's result may share memory with its first argument. */
export function isView(operator: string): boolean {
  return views.has(operator);
}

/** Adds nodes for a call. @param operator without the underscore of the form in place @throws {ExportError} for unknown ones */
export function translate(operator: string, call: TracedCall): TracedValue | readonly TracedValue[] {
  const translation = translations.get(operator);
  if (translation === undefined) throw call.refusal('it has no translation to ONNX');
  const result = translation(call);
  const { batchAxis } = call;
  if (typeof result === 'string') return { name: result, batchAxis };
  return 'name' in result ? result : result.map((name) => ({ name, batchAxis }));
}

const unary =
  (operator: OperatorType): Translation =>
  (call) =>
    call.add(operator, [call.value(0)]);

/** Addition and its kin; a factor on the second argument is not used by any network. */
const binary =
  (operator: OperatorType): Translation =>
  (call) => {
    if (call.count > 2) throw call.refusal('a third argument is given');
    return call.add(operator, [call.value(0), call.value(1)]);
  };

const same: Translation = (call) => call.value(0);

/** Arguments of a convolution from `position` on: stride, padding, dilation, groups. */
function convolve(call: TracedCall, position: number): string {
  const kernel = call.shape(1).slice(2);
  const padding = call.numbers(position + 1, 2, 0);
  const inputs = [call.value(0), call.value(1), ...(call.isNull(2) ? [] : [call.value(2)])];
  return call.add('Conv', inputs, {
    kernel_shape: kernel,
    strides: call.numbers(position, 2, 1),
    pads: [...padding, ...padding],
    dilations: call.numbers(position + 2, 2, 1),
    group: call.number(position + 3, 1),
  });
}

/** Brings a map `[B, C, h, w]` to another height and width; its batch is read in the graph, since it may be of any size. */
function resize(call: TracedCall, attributes: Readonly<Record<string, { readonly text: string }>>): string {
  const bounds = [[0], [2], [0]].map((values) => call.whole(values));
  const shape = call.add('Shape', [call.value(0)]);
  const kept = call.add('Slice', [shape, ...bounds]);
  const sizes = call.add('Concat', [kept, call.whole(call.numbers(1, 2))], { axis: 0 });
  return call.add('Resize', [call.value(0), '', '', sizes], attributes);
}

/** Means over parts of a map, `[parts, length]`: part i goes from floor(i length / parts) to ceil((i + 1) length / parts). */
function partMeans(length: number, parts: number): Float32Array {
  const shares = new Float32Array(parts * length);
  for (let part = 0; part < parts; part += 1) {
    const start = Math.floor((part * length) / parts);
    const end = Math.ceil(((part + 1) * length) / parts);
    shares.fill(1 / (end - start), part * length + start, part * length + end);
  }
  return shares;
}

/** Adaptive pooling whose windows differ in size, as two products with matrices of shares. */
function poolUnevenly(call: TracedCall, [down = 1, across = 1]: readonly number[]): string {
  const [, , height = 1, width = 1] = call.shape(0);
  const rows = call.matrix(partMeans(height, down), [down, height]);
  const byColumn = partMeans(width, across);
  const columns = Float32Array.from(byColumn, (_, place) => {
    const [column, part] = [Math.floor(place / across), place % across];
    return byColumn[part * width + column] ?? 0;
  });
  const pooled = call.add('MatMul', [call.value(0), call.matrix(columns, [width, across])]);
  return call.add('MatMul', [rows, pooled]);
}

function slice(call: TracedCall, axis: number, start: number, length: number): string {
  const bounds = [[start], [start + length], [axis]].map((values) => call.whole(values));
  return call.add('Slice', [call.value(0), ...bounds]);
}

/** @param position of the weight; bias, mean, variance, training, momentum and epsilon follow */
function normalise(call: TracedCall, position: number): string {
  if (call.boolean(position + 4, false)) throw call.refusal('it is in training');
  const parameters = [0, 1, 2, 3].map((offset) => call.value(position + offset));
  const epsilon = { float: call.number(position + 6) };
  return call.add('BatchNormalization', [call.value(0), ...parameters], { epsilon });
}

/** A mean or a sum over dimensions. */
function reduce(call: TracedCall): { readonly axes: number[]; readonly keeps: boolean; batchAxis: number } {
  const rank = call.shape(0).length;
  const axes = call.numbers(1, 1).map((axis) => (axis < 0 ? axis + rank : axis));
  const keeps = call.boolean(2, false);
  const { batchAxis } = call;
  if (axes.includes(batchAxis)) throw call.refusal('it goes over the batch');
  const removed = keeps ? 0 : axes.filter((axis) => axis < batchAxis).length;
  return { axes, keeps, batchAxis: batchAxis - removed };
}

/** Where a dimension is counted from the end, its place from the start. */
function axisOf(call: TracedCall, position: number, rank: number, otherwise?: number): number {
  const axis = call.number(position, otherwise);
  return axis < 0 ? axis + rank : axis;
}

const translations: ReadonlyMap<string, Translation> = new Map<string, Translation>([
  ['to', same],
  ['contiguous', same],
  ['detach', same],
  ['add', binary('Add')],
  ['sub', binary('Sub')],
  ['mul', binary('Mul')],
  ['div', binary('Div')],
  ['bmm', binary('MatMul')],
  ['exp', unary('Exp')],
  ['sqrt', unary('Sqrt')],
  ['hardswish', unary('HardSwish')],
  [
    'hardsigmoid',
    (call) => call.add('HardSigmoid', [call.value(0)], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }),
  ],
  ['relu', unary('Relu')],
  ['sigmoid', unary('Sigmoid')],
  ['tanh', unary('Tanh')],
  ['log', unary('Log')],
  [
    'clamp',
    (call) =>
      call.add('Clip', [
        call.value(0),
        ...[1, 2].map((place) => (call.isNull(place) ? '' : call.value(place))),
      ]),
  ],
  ['clampMin', (call) => call.add('Clip', [call.value(0), call.value(1)])],
  ['convolution2d', (call) => convolve(call, 3)],
  [
    'convTranspose2d',
    (call) => {
      const padding = call.numbers(4, 2, 0);
      const inputs = [call.value(0), call.value(1), ...(call.isNull(2) ? [] : [call.value(2)])];
      return call.add('ConvTranspose', inputs, {
        kernel_shape: call.shape(1).slice(2),
        strides: call.numbers(3, 2, 1),
        pads: [...padding, ...padding],
      });
    },
  ],
  [
    'foldedConvolution',
    (call) => {
      const convolved = convolve(call, 5);
      const sum = call.isNull(3) ? convolved : call.add('Add', [convolved, call.value(3)]);
      return call.boolean(4, false) ? call.add('Relu', [sum]) : sum;
    },
  ],
  ['batchNormAlone', (call) => normalise(call, 1)],
  ['batchNormRelu', (call) => call.add('Relu', [normalise(call, 1)])],
  ['batchNormAddRelu', (call) => call.add('Relu', [call.add('Add', [normalise(call, 2), call.value(1)])])],
  [
    'linear',
    (call) => {
      if (call.shape(0).length !== 2) throw call.refusal('its input is not a matrix');
      const inputs = [call.value(0), call.value(1), ...(call.isNull(2) ? [] : [call.value(2)])];
      return call.add('Gemm', inputs, { transB: 1 });
    },
  ],
  [
    'mean',
    (call) => {
      const { axes, keeps, batchAxis } = reduce(call);
      // The form that runtimes have fast and quantised kernels for.
      const isGlobal = call.shape(0).length === 4 && axes.join() === '2,3' && batchAxis === 0;
      if (isGlobal) {
        const pooled = call.add('GlobalAveragePool', [call.value(0)]); // [B, C, 1, 1]
        return keeps ? pooled : call.add('Flatten', [pooled], { axis: 1 });
      }
      return { name: call.add('ReduceMean', [call.value(0)], { axes, keepdims: Number(keeps) }), batchAxis };
    },
  ],
  [
    'sum',
    (call) => {
      const { axes, keeps, batchAxis } = reduce(call);
      const inputs = [call.value(0), call.whole(axes)];
      return { name: call.add('ReduceSum', inputs, { keepdims: Number(keeps) }), batchAxis };
    },
  ],
  [
    'maxPool2d',
    (call) => {
      const kernel = call.numbers(1, 2);
      const padding = call.numbers(3, 2, 0);
      if (call.boolean(5, false)) throw call.refusal('it rounds sizes up');
      return call.add('MaxPool', [call.value(0)], {
        kernel_shape: kernel,
        strides: call.isNull(2) ? kernel : call.numbers(2, 2),
        pads: [...padding, ...padding],
        dilations: call.numbers(4, 2, 1),
      });
    },
  ],
  [
    'avgPool2d',
    (call) => {
      const kernel = call.numbers(1, 2);
      const padding = call.numbers(3, 2, 0);
      if (call.boolean(4, false)) throw call.refusal('it rounds sizes up');
      return call.add('AveragePool', [call.value(0)], {
        kernel_shape: kernel,
        strides: call.isNull(2) ? kernel : call.numbers(2, 2),
        pads: [...padding, ...padding],
        count_include_pad: Number(call.boolean(5, true)),
      });
    },
  ],
  [
    'adaptiveAvgPool2d',
    (call) => {
      const sizes = call.numbers(1, 2);
      const kernel = call
        .shape(0)
        .slice(2)
        .map((side, index) => side / (sizes[index] ?? 1));
      if (!kernel.every(Number.isInteger)) return poolUnevenly(call, sizes);
      return call.add('AveragePool', [call.value(0)], { kernel_shape: kernel, strides: kernel });
    },
  ],
  [
    'cat',
    (call) => call.add('Concat', call.values(0), { axis: axisOf(call, 1, call.shapeInList(0).length, 0) }),
  ],
  [
    'stack',
    (call) => {
      const axis = axisOf(call, 1, call.shapeInList(0).length + 1, 0);
      const axes = call.whole([axis]);
      const raised = call.values(0).map((value) => call.add('Unsqueeze', [value, axes]));
      const { batchAxis } = call;
      return {
        name: call.add('Concat', raised, { axis }),
        batchAxis: batchAxis + Number(axis <= batchAxis),
      };
    },
  ],
  [
    'unsqueeze',
    (call) => {
      const axis = axisOf(call, 1, call.shape(0).length + 1);
      const { batchAxis } = call;
      return {
        name: call.add('Unsqueeze', [call.value(0), call.whole([axis])]),
        batchAxis: batchAxis + Number(axis <= batchAxis),
      };
    },
  ],
  [
    'flatten',
    (call) => {
      const shape = call.shape(0);
      const first = axisOf(call, 1, shape.length, 0);
      const last = axisOf(call, 2, shape.length, -1);
      if (call.batchAxis !== 0 || first < 1) throw call.refusal('it flattens the batch');
      if (first === 1 && last === shape.length - 1) return call.add('Flatten', [call.value(0)], { axis: 1 });
      // 0 keeps the size of the input, whatever the batch is.
      const sizes = call.resultShape.map((size, index) => (index < first ? 0 : size));
      return call.add('Reshape', [call.value(0), call.whole(sizes)]);
    },
  ],
  [
    'joinShuffled',
    (call) => {
      const axes = call.whole([2]);
      const pair = [0, 1].map((position) => call.add('Unsqueeze', [call.value(position), axes]));
      // 0 keeps the size of the input, whatever the batch is.
      const sizes = call.resultShape.map((size, index) => (index === 0 ? 0 : size));
      return call.add('Reshape', [call.add('Concat', pair, { axis: 2 }), call.whole(sizes)]);
    },
  ],
  [
    'splitChannels',
    (call) => {
      const half = at(call.shape(0), 1) / 2;
      return [0, half].map((start) => slice(call, 1, start, half));
    },
  ],
  [
    'narrow',
    (call) => {
      const axis = axisOf(call, 1, call.shape(0).length);
      if (axis === call.batchAxis) throw call.refusal('it divides the batch');
      return slice(call, axis, call.number(2), call.number(3));
    },
  ],
  [
    'upsampleBilinear2d',
    (call) => {
      if (call.boolean(2, false)) throw call.refusal('it aligns corners');
      return resize(call, {
        mode: { text: 'linear' },
        coordinate_transformation_mode: { text: 'pytorch_half_pixel' },
      });
    },
  ],
  [
    'upsampleNearest2d',
    (call) =>
      resize(call, {
        mode: { text: 'nearest' },
        coordinate_transformation_mode: { text: 'asymmetric' },
        nearest_mode: { text: 'floor' },
      }),
  ],
  [
    'dropout',
    (call) => {
      if (call.boolean(2, false)) throw call.refusal('it is in training');
      return call.value(0);
    },
  ],
  [
    'groupNorm',
    (call) => {
      const groups = call.number(1);
      const [, channels = 0, ...places] = call.shape(0);
      const flat = call.add('Reshape', [call.value(0), call.whole([0, groups, -1])]);
      const [one, zero] = [1, 0].map((value) => call.matrix(new Float32Array(groups).fill(value), [groups]));
      const epsilon = { float: call.number(4, 1e-5) };
      const normal = call.add('InstanceNormalization', [flat, one ?? '', zero ?? ''], { epsilon });
      const whole = call.add('Reshape', [normal, call.whole([0, channels, ...places])]);
      const shape = [channels, ...places.map(() => 1)];
      const scaled = call.isNull(2) ? whole : call.add('Mul', [whole, call.reshaped(2, shape)]);
      return call.isNull(3) ? scaled : call.add('Add', [scaled, call.reshaped(3, shape)]);
    },
  ],
  [
    'reshape',
    (call) => {
      const [batch] = call.shape(0);
      const [first, ...rest] = call.resultShape;
      if (call.batchAxis !== 0 || first !== batch) throw call.refusal('it changes the batch');
      // 0 keeps the size of the input, whatever the batch is.
      return call.add('Reshape', [call.value(0), call.whole([0, ...rest])]);
    },
  ],
  [
    'permute',
    (call) => {
      const perm = call.numbers(1, 0);
      return {
        name: call.add('Transpose', [call.value(0)], { perm }),
        batchAxis: perm.indexOf(call.batchAxis),
      };
    },
  ],
  [
    'squeeze',
    (call) => {
      const axis = axisOf(call, 1, call.shape(0).length);
      const { batchAxis } = call;
      if (axis === batchAxis) throw call.refusal('it removes the batch');
      return {
        name: call.add('Squeeze', [call.value(0), call.whole([axis])]),
        batchAxis: batchAxis - Number(axis < batchAxis),
      };
    },
  ],
  [
    'softmax',
    (call) => call.add('Softmax', [call.value(0)], { axis: axisOf(call, 1, call.shape(0).length) }),
  ],
]);
