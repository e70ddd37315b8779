/** A training's whole state from the first rank to all others: where a run is resumed, or early stopping goes back. */
import {
  noGrad,
  ops,
  packedBytes,
  packTensors,
  scope,
  unpackTensors,
  type TensorShape,
} from '@cohort-ml/torch';
import * as z from 'zod';
import type { Restorable } from '../run/restore.ts';
import { at } from '../../support/at.ts';
import type { Ranks } from './ranks.ts';

/** What an optimizer's state holds besides its tensors' values. */
interface OptimizerOutline {
  readonly steps: number;
  readonly slots: readonly (readonly [key: string, shape: TensorShape])[];
}

/** The state that is not in tensors. */
interface Outline {
  readonly optimizers: readonly OptimizerOutline[];
  readonly method: z.core.util.JSONType;
  readonly generator: readonly number[] | null;
}

/** Copies modules, optimizers, generator and the method's own state; all ranks call it. */
export function spreadState(ranks: Ranks, parts: Restorable): void {
  const { group, isFirst } = ranks;
  noGrad(() => {
    scope(() => {
      const outline = JSON.parse(
        group.broadcastText(isFirst ? JSON.stringify(outlineOf(parts)) : '', 0),
      ) as Outline;
      for (const [, module] of parts.modules) {
        const tensors = [...module.stateDict().values()];
        if (tensors.length === 0) continue;
        const packed = packTensors(tensors);
        group.broadcast(packed, 0);
        if (isFirst) continue;
        for (const [index, tensor] of unpackTensors(packed, tensors).entries()) {
          at(tensors, index, 'the tensors').copy_(tensor);
        }
      }
      for (const [place, [, optimizer]] of parts.optimizers.entries()) {
        const { steps, slots } = at(outline.optimizers, place, 'the optimizers');
        const shapes = slots.map(([, shape]) => shape);
        const packed = isFirst
          ? packTensors([...optimizer.state().tensors.values()])
          : ops.empty([packedBytes(shapes)], { dtype: 'uint8' });
        if (shapes.length > 0) group.broadcast(packed, 0);
        if (isFirst) continue;
        const values = unpackTensors(packed, shapes);
        optimizer.loadState({
          tensors: new Map(slots.map(([key], index) => [key, at(values, index, 'the values')])),
          steps,
        });
      }
      if (isFirst) return;
      if (outline.method !== null) parts.cohort.method.state?.restore(outline.method);
      if (outline.generator !== null) parts.cohort.generator?.setState(Uint8Array.from(outline.generator));
    });
  });
}

function outlineOf({ cohort, optimizers }: Restorable): Outline {
  return {
    optimizers: optimizers.map(([, optimizer]) => {
      const { tensors, steps } = optimizer.state();
      return {
        steps,
        slots: [...tensors].map(([key, { dtype, shape }]) => [key, { dtype, shape }] as const),
      };
    }),
    method: cohort.method.state?.save() ?? null,
    generator: cohort.generator === undefined ? null : [...cohort.generator.getState()],
  };
}
