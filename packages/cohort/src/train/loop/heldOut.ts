/** What a method does with held-out images between epochs, e.g. solving for the weights of an ensemble. */
import { setImmediate } from 'node:timers/promises';
import { noGrad, scope } from '@cohort-ml/torch';
import type { Batches } from '../../data/index.ts';
import type { Cohort } from '../../cohort/cohort.ts';

/**
 * Shows a method the held-out images, networks in evaluation mode and without gradients: those that were held out for it,
 * or the validation images. Does nothing for methods that need none.
 */
export async function workOnHeldOut(setup: {
  readonly cohort: Cohort;
  readonly heldOut?: Batches | null;
  readonly validation: Batches | null;
}): Promise<void> {
  const { cohort } = setup;
  const work = cohort.method.heldOut;
  const loader = setup.heldOut ?? setup.validation;
  if (work === undefined || loader === null) return;
  const modes = cohort.networks.map((network) => network.training);
  try {
    for (const network of cohort.networks) network.eval();
    for (let number = 0; number < loader.batchCount; number += 1) {
      await loader.ready(0, number);
      noGrad(() => {
        scope(() => {
          work.observe(loader.batch(0, number));
        });
      });
      await setImmediate();
    }
    work.finish();
  } finally {
    for (const [index, network] of cohort.networks.entries()) network.train(modes[index]);
  }
}
