/**
 * Keeps a network of a finished run as one of the weights that come with Cohort, in float16, with the test accuracy of the
 * rounded weights: node scripts/keepWeights.mjs RUN INDEPENDENT_RUN NETWORK NAME COMMAND, where COMMAND is what trained the run.
 * Needs dist (npm run build).
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [runPath, independentPath, networkName, name, command] = process.argv.slice(2);
if (command === undefined)
  throw new Error('usage: node scripts/keepWeights.mjs RUN INDEPENDENT_RUN NETWORK NAME COMMAND');

const root = fileURLToPath(new URL('..', import.meta.url));
const from = (path) => import(join(root, 'packages/cohort/dist', path));
const { saveTensors, Generator } = await import(join(root, 'packages/torch/dist/index.js'));
const { openRun } = await import(join(root, 'packages/runs/dist/index.js'));
const { openRunWeights } = await from('checkpoints/runWeights.js');
const { loadPretrained } = await from('cohort/pretrained.js');
const { createEvaluationLoader, loadRecipeData } = await from('cohort/images.js');
const { evaluateCohort } = await from('evaluate/accuracy.js');
const { createNetwork } = await from('models/index.js');
const { networkNames, parseRecipe } = await from('recipes/index.js').then(async (recipes) => ({
  ...recipes,
  ...(await from('recipes/networkNames.js')),
}));

const run = openRun(runPath);
const recipe = parseRecipe(run.recipe, runPath);
const names = networkNames(recipe);
const index = names.indexOf(networkName);
const model = recipe.networks[index].model;
const ordinal = names.filter(
  (each, position) => position < index && recipe.networks[position].model === model,
).length;

const folder = join(root, 'weights');
const file = join(folder, `${name}.safetensors`);
const source = openRunWeights(runPath, model, ordinal);
const tensors = new Map(
  [...source.dictionaries[0].tensors].map(([key, stored]) => {
    const tensor = stored.read();
    return [key, tensor.dtype === 'float32' ? tensor.to('float16') : tensor];
  }),
);
saveTensors(file, tensors, { format: 'pt', 'cohort.model': model, ...source.metadata });

const data = await loadRecipeData(recipe, { reporter: { message() {}, warning: console.warn } });
const { dataset } = data;
const network = createNetwork(model, {
  classes: dataset.classes.length,
  channels: dataset.channels,
  generator: new Generator(0),
});
loadPretrained(network, {
  path: file,
  model,
  ordinal: 0,
  channels: dataset.channels,
  classes: dataset.classes.length,
  classNames: dataset.classes,
});
network.eval();
const loader = createEvaluationLoader(recipe, data, 'test');
const score = await evaluateCohort([network], loader, {});
const scoreIn = (path, network) =>
  JSON.parse(readFileSync(join(path, 'summary.json'), 'utf8')).networks.find((each) => each.name === network)
    .test.accuracy;
const independent = openRun(independentPath);
const info = JSON.parse(readFileSync(join(runPath, 'run.json'), 'utf8'));
const entry = {
  name,
  model,
  data: `${dataset.train.count.toLocaleString('en-US')} images of ${dataset.name}`,
  training: `${recipe.method.name}, ${recipe.networks.map((each) => each.model).join(' and ')}, ${recipe.train.epochs} epochs`,
  classes: dataset.classes.length,
  channels: dataset.channels,
  size: dataset.height,
  parameters: openRun(runPath).summary.networks[index].parameters,
  accuracy: {
    value: score.networks[0].accuracy,
    testImages: `${dataset.test.count.toLocaleString('en-US')} test images of ${dataset.name}`,
  },
  independentAccuracy: scoreIn(independent.path, networkName),
  command,
  date: info.endedAt.slice(0, 10),
  licence: 'Apache-2.0, as Cohort; see the licence of the images for what they may be used for',
  sha256: createHash('sha256').update(readFileSync(file)).digest('hex'),
  bytes: statSync(file).size,
};
console.log(`in the run ${scoreIn(runPath, networkName)}, rounded to float16 ${entry.accuracy.value}`);
const indexPath = join(folder, 'index.json');
const others = existsSync(indexPath) ? JSON.parse(readFileSync(indexPath, 'utf8')) : [];
writeFileSync(
  indexPath,
  `${JSON.stringify([...others.filter((each) => each.name !== name), entry], null, 2)}\n`,
);
