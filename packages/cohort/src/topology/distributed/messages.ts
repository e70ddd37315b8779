/** Messages of outputs: tensors side by side, filled up to one length on all ranks, and rows that are put together again. */
import {
  noGrad,
  ops,
  packedBytes,
  packTensors,
  unpackTensors,
  type Tensor,
  type TensorShape,
} from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import type { BatchRows } from './batchRows.ts';

/** What an output is, on the rank that has it. */
export interface OutputShape extends TensorShape {
  /** Kernels round by the order in memory, so that it has to be the same on all ranks. */
  readonly isChannelsLast: boolean;
}

/** Tensors in one message of so many bytes; all ranks pass on as many. */
export function paddedMessage(tensors: readonly Tensor[], bytes: number): Tensor {
  const packed = packTensors(tensors);
  const missing = bytes - packed.numel;
  return missing === 0 ? packed : ops.cat([packed, ops.zeros([missing], { dtype: 'uint8' })], 0);
}

/** Passes rows of tensors round and puts them together. @param tensors of this rank's rows, `[b, ...]` */
export function rowsJoined(rows: BatchRows, tensors: readonly Tensor[], total: number): Tensor[] {
  if (tensors.length === 0) return [];
  const { group } = rows;
  const shapesOf = (rank: number): OutputShape[] => {
    const { count } = rows.rangeOf(total, rank);
    return tensors.map((tensor) => ({ ...shapeOf(tensor), shape: [count, ...tensor.shape.slice(1)] }));
  };
  // No rank has more rows than the first.
  const longest = packedBytes(shapesOf(0));
  const parts = noGrad(() =>
    group
      .allGather(paddedMessage(tensors, longest))
      .unbind(0)
      .map((buffer, rank) => {
        const shapes = shapesOf(rank);
        const unpacked = unpackTensors(buffer.narrow(0, 0, packedBytes(shapes)), shapes);
        return unpacked.map((part, index) => laidOut(part, at(shapes, index, 'the shapes')));
      }),
  );
  return tensors.map((tensor, index) =>
    ops.cat(
      parts.map((part, rank) => (rank === group.rank ? tensor : at(part, index, 'the rows of a rank'))),
      0,
    ),
  );
}

export function shapeOf(output: Tensor): OutputShape {
  const { dtype, shape } = output;
  const isChannelsLast =
    shape.length === 4 && !output.hasMemoryFormat('contiguous') && output.hasMemoryFormat('channelsLast');
  return { dtype, shape, isChannelsLast };
}

export function laidOut(output: Tensor, { isChannelsLast }: OutputShape): Tensor {
  return isChannelsLast ? noGrad(() => output.contiguous({ memoryFormat: 'channelsLast' })) : output;
}
