/** `predict` on a run folder that was made for it: opening the run, decoding files, classes. */
import { createRun } from '@cohort-ml/runs';
import { multiplyAdds } from 'cohort-ml/internal';
import { predictRun } from 'cohort-ml/internal';
import { stringifyRecipe } from 'cohort-ml/internal';
import { createNetworks, networkFiles } from 'cohort-ml/internal';
import { SilentReporter } from 'cohort-ml/internal';
import { writeNetworks } from 'cohort-ml/internal';
import type { PredictionWork, WorkSpec } from '../work.ts';
import { benchNormalisation } from './evaluation.ts';
import { benchRecipe } from './recipe.ts';
import type { RunningWork } from './running.ts';

/** Writes the run of an untrained network into the case's folder. */
export function startPrediction(spec: WorkSpec & PredictionWork): RunningWork {
  const { model, classes, precision, folder, paths } = spec;
  const recipe = benchRecipe([model], { name: 'independent' }, precision);
  const networks = createNetworks(recipe, { classes, channels: 3 });
  const run = createRun({
    root: folder,
    name: 'benchmark',
    recipe: stringifyRecipe(recipe),
    environment: {},
    command: 'cohort bench',
  });
  run.checkpointFolder('last', (checkpoint) => {
    writeNetworks(checkpoint, networkFiles(recipe, networks), {
      classes: Array.from({ length: classes }, (_, index) => `class ${index}`),
      channels: 3,
      height: 32,
      width: 32,
      normalisation: benchNormalisation,
    });
  });
  run.finish({});
  const { signal } = new AbortController();
  return {
    parameters: networks.reduce((sum, network) => sum + network.parameterCount(), 0),
    multiplyAdds: networks.reduce((sum, network) => sum + multiplyAdds(network, [3, 32, 32]), 0),
    run: async () => {
      const predictions = await predictRun(run.path, paths, {
        signal,
        reporter: new SilentReporter(),
        top: 5,
      });
      return { images: predictions.length };
    },
  };
}
