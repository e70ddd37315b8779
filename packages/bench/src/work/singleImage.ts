/** One image at a time through one network, as a server or a camera would: with our engine or in ONNX Runtime. */
import { Generator, nn, noGrad, ops, saveTensors, scope, Tensor } from '@cohort-ml/torch';
import { createNetworks, multiplyAdds } from 'cohort-ml/internal';
import type { SingleImageWork, WorkSpec } from '../work.ts';
import { openOnnxSession } from './onnxSession.ts';
import { benchRecipe } from './recipe.ts';
import type { RunningWork } from './running.ts';

const shape = [3, 32, 32] as const;

/** Sets up a network, folded and compiled, and an image. */
export async function startSingleImage(spec: WorkSpec & SingleImageWork): Promise<RunningWork> {
  const { model, classes, precision, threads } = spec;
  const recipe = benchRecipe([model], { name: 'independent' }, precision);
  const [network] = createNetworks(recipe, { classes, channels: shape[0] });
  if (network === undefined) throw new Error('the recipe has one network');
  const sizes = {
    parameters: network.parameterCount(),
    multiplyAdds: multiplyAdds(network.eval(), [...shape]),
  };
  const images = ops.randn([1, ...shape], { generator: new Generator(0) });
  const pixels = images.toTypedArray() as Float32Array;
  const valuesOf = (logits: Float32Array): Record<string, number> => ({ logit: logits[0] ?? NaN });
  if (spec.usesOnnxRuntime === true) {
    const session = await openOnnxSession(network, [...shape], threads);
    return { ...sizes, version: session.version, run: async () => valuesOf(await session.run(pixels, 1)) };
  }
  const state = network.stateDict();
  const entries = Array.from(state, ([name, value]): [string, Tensor] => [`network.0.${name}`, value]);
  nn.compile(network);
  return {
    ...sizes,
    run: () =>
      noGrad(() =>
        scope(() => {
          const input = Tensor.fromTypedArray(pixels, [1, ...shape]).contiguous({
            memoryFormat: 'channelsLast',
          });
          return valuesOf(network.call(input).logits.toTypedArray() as Float32Array);
        }),
      ),
    save: (path) => {
      saveTensors(path, [...entries, ['images', images], ['labels', ops.zeros([1], { dtype: 'int64' })]]);
    },
  };
}
