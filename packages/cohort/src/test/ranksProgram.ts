/** Test help, run as a program: trains recipes one after the other as one rank of a group, or alone. */
import { readFileSync } from 'node:fs';
import { ProcessGroup } from '@cohort-ml/torch';
import { SilentReporter } from '../progress/reporter.ts';
import { parseRecipe } from '../recipes/index.ts';
import { evenPlacement, Exchange } from '../topology/index.ts';
import { followTraining } from '../train/distributed/follow.ts';
import { Ranks } from '../train/distributed/ranks.ts';
import { trainRun } from '../train/run/run.ts';

/** Arguments: rank, number of ranks, port of rank 0, file with recipes, folder for runs. */
const [rank = '0', size = '1', port = '0', recipesPath = '', runs = ''] = process.argv.slice(2);

const recipes = JSON.parse(readFileSync(recipesPath, 'utf8')) as readonly object[];
const count = Number(size);
const group =
  count === 1
    ? null
    : new ProcessGroup({
        rank: Number(rank),
        size: count,
        address: `127.0.0.1:${port}`,
        timeoutMs: 600_000,
      });
for (const given of recipes) {
  const recipe = parseRecipe(JSON.stringify({ ...given, runs }));
  const options = {
    command: 'a test',
    signal: new AbortController().signal,
    reporter: new SilentReporter(),
  };
  if (group === null) {
    await trainRun(recipe, options);
    continue;
  }
  const placement = evenPlacement(recipe.networks.length, count);
  const ranks = new Ranks(group, new Exchange(group, placement));
  if (ranks.isFirst) await trainRun(recipe, { ...options, ranks });
  else await followTraining(recipe, { ...options, ranks });
}
group?.barrier();
group?.leave();
