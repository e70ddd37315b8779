/** Kernels that take an image block by block and write another of its size. */
import type { GraphNode } from '../../onnx/model.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor } from '../tensor.ts';
import type { Value } from '../value.ts';

/** Defines the output of a node as what a kernel makes of an image. @param more of the kernel's arguments, after the places and sizes */
export function emitOverImage(
  node: GraphNode,
  value: Value,
  lowering: Lowering,
  kernel: 'affine' | 'hardSwish',
  more: readonly number[],
): void {
  const image = lowering.layouts.image(value);
  const output = new Tensor(value.shape, null);
  lowering.defineTensor(node.outputs[0], output);
  lowering.emit({
    name: node.operator,
    reads: [image],
    writes: [output],
    bind: () => {
      const values = [
        ...[image.origin, image.row, image.plane, output.origin, output.row, output.plane],
        ...[output.blocks, output.height, output.width, ...more],
      ];
      return () => {
        lowering.kernels[kernel](...values);
      };
    },
  });
}
