/**
 * Normalisation over groups of channels, which ONNX says as Reshape, InstanceNormalization, Reshape, and a factor and a shift per
 * channel: one step that reads the image three times.
 */
import type { GraphNode } from '../../onnx/model.ts';
import { followActivation } from '../follow.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor } from '../tensor.ts';
import { constantOf, floatsOf, type Value } from '../value.ts';
import { padded, perChannel } from '../weights.ts';
import { lowerReshape, newShape } from './moves.ts';
import { lowerPlain } from './plain.ts';

/** What follows the first Reshape, down to the activation. */
interface GroupNorm {
  readonly groups: number;
  /** Of each group, then of each channel. */
  readonly groupFactors: Float32Array;
  readonly groupShifts: Float32Array;
  readonly factors: Float32Array | null;
  readonly shifts: Float32Array | null;
  readonly epsilon: number;
  readonly nodes: readonly GraphNode[];
  readonly output: string | undefined;
}

/** Reshape: the beginning of a normalisation over groups, or any other. */
export function lowerReshapeOrGroupNorm(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const found =
    value.shape.length === 4 && value.shape[0] === 1 ? findGroupNorm(node, value, lowering) : null;
  if (found === null) {
    lowerReshape(node, lowering);
    return;
  }
  for (const each of found.nodes) lowering.absorb(each);
  emitGroupNorm(value, found, lowering);
}

/** InstanceNormalization of an image is that of groups of one channel. */
export function lowerInstanceNormalization(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const parameters = parametersOf(node, lowering);
  if (value.shape.length !== 4 || value.shape[0] !== 1 || parameters === null || constantOf(value) !== null) {
    lowerPlain(node, lowering);
    return;
  }
  emitGroupNorm(
    value,
    {
      ...parameters,
      groups: value.shape[1] ?? 1,
      factors: null,
      shifts: null,
      nodes: [],
      output: node.outputs[0],
    },
    lowering,
  );
}

function parametersOf(
  node: GraphNode,
  lowering: Lowering,
): Pick<GroupNorm, 'groupFactors' | 'groupShifts' | 'epsilon'> | null {
  const [groupFactors, groupShifts] = [1, 2].map((index) => floatsOf(lowering.value(node.inputs[index])));
  if (!groupFactors || !groupShifts) return null;
  const given = node.attributes.get('epsilon');
  return { groupFactors, groupShifts, epsilon: typeof given === 'number' ? given : 1e-5 };
}

function findGroupNorm(node: GraphNode, value: Value, lowering: Lowering): GroupNorm | null {
  const normal = lowering.onlyConsumer(node.outputs[0]);
  if (normal?.operator !== 'InstanceNormalization' || normal.inputs[0] !== node.outputs[0]) return null;
  const parameters = parametersOf(normal, lowering);
  const back = lowering.onlyConsumer(normal.outputs[0]);
  if (parameters === null || constantOf(value) !== null || back?.operator !== 'Reshape') return null;
  const grouped = newShape(node, value.shape, lowering);
  const [, groups = 0] = grouped;
  const [, channels = 0] = value.shape;
  const returns = newShape(back, grouped, lowering).join() === value.shape.join();
  if (grouped.length !== 3 || grouped[0] !== 1 || groups < 1 || channels % groups !== 0 || !returns)
    return null;
  const nodes = [normal, back];
  let output = back.outputs[0];
  const follow = (operator: string): Float32Array | null => {
    const next = lowering.onlyConsumer(output);
    const other = next?.inputs.find((name) => name !== output);
    if (next?.operator !== operator || other === undefined || !lowering.isKnown(other)) return null;
    const constant = constantOf(lowering.value(other));
    const values = constant && perChannel(constant, value.shape);
    if (values === null) return null;
    nodes.push(next);
    output = next.outputs[0];
    return values;
  };
  const factors = follow('Mul');
  const shifts = follow('Add');
  return { ...parameters, groups, factors, shifts, nodes, output };
}

function emitGroupNorm(value: Value, norm: GroupNorm, lowering: Lowering): void {
  const [, channels = 1, height = 1, width = 1] = value.shape;
  const { low, high, output: name } = followActivation(norm.output, lowering);
  const image = lowering.layouts.image(value);
  const output = new Tensor(value.shape, null);
  lowering.defineTensor(name, output);
  const lanes = Math.ceil(channels / 4) * 4;
  const scratch = new Tensor([1, 4 * lanes], null, 'plain');
  const perGroup = channels / norm.groups;
  const factors = padded(norm.factors ?? [1], channels);
  const shifts = padded(norm.shifts ?? [0], channels);
  const { kernels } = lowering;
  lowering.emit({
    name: 'Group normalisation',
    reads: [image],
    writes: [output, scratch],
    bind: () => {
      const [means, sums, scale, shift] = [0, 1, 2, 3].map((part) => scratch.address + 4 * lanes * part) as [
        ...[number, number, number, number],
      ];
      const read = [image.origin, image.row, image.plane, image.blocks, height, width];
      const apply = [
        ...[image.origin, image.row, image.plane, output.origin, output.row, output.plane],
        ...[output.blocks, height, width, scale, shift, low, high],
      ];
      const view = (address: number): Float32Array => new Float32Array(kernels.memory.buffer, address, lanes);
      const places = height * width * perGroup;
      /** Means of the groups of what the kernel has added up. */
      const groupMeans = (): Float64Array => {
        const totals = new Float64Array(norm.groups);
        const own = view(sums);
        for (let channel = 0; channel < channels; channel++) {
          const group = Math.floor(channel / perGroup);
          totals[group] = (totals[group] ?? 0) + (own[channel] ?? 0) / places;
        }
        return totals;
      };
      return () => {
        const centres = view(means);
        centres.fill(0);
        kernels.channelSums(...read, means, 0, sums);
        const mean = groupMeans();
        for (let channel = 0; channel < channels; channel++) {
          centres[channel] = mean[Math.floor(channel / perGroup)] ?? 0;
        }
        kernels.channelSums(...read, means, 1, sums);
        const variance = groupMeans();
        const [scales, offsets] = [view(scale), view(shift)];
        scales.fill(0);
        offsets.fill(0);
        for (let channel = 0; channel < channels; channel++) {
          const group = Math.floor(channel / perGroup);
          const factor = (norm.groupFactors[group] ?? 1) / Math.sqrt((variance[group] ?? 0) + norm.epsilon);
          const own = factors[channel] ?? 1;
          scales[channel] = factor * own;
          const centred = (norm.groupShifts[group] ?? 0) - (mean[group] ?? 0) * factor;
          offsets[channel] = centred * own + (shifts[channel] ?? 0);
        }
        kernels.affine(...apply);
      };
    },
  });
}
