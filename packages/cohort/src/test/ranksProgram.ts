/** Test help, run as a program: trains recipes one after the other as one rank of a group, or alone. */
import { readFileSync } from 'node:fs';
import { ProcessGroup } from '@cohort-ml/torch';
import { SilentReporter } from '../progress/reporter.ts';
import { parseRecipe } from '../recipes/index.ts';
import { followTraining } from '../train/distributed/follow.ts';
import { choosePlacement, ranksOf } from '../train/distributed/join.ts';
import { trainRun } from '../train/run/run.ts';
import { openAnySession } from '../transfer/training/taskSession.ts';

/** Arguments: rank, number of ranks, port of rank 0, file with recipes, folder for runs, how many ranks share each batch. */
const [rank = '0', size = '1', port = '0', recipesPath = '', runs = '', shards = '1'] = process.argv.slice(2);

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
for (const [index, given] of recipes.entries()) {
  const recipe = parseRecipe(JSON.stringify({ ...given, runs }));
  const options = {
    command: 'a test',
    signal: new AbortController().signal,
    reporter: new SilentReporter(),
  };
  if (group === null) {
    await trainRun(recipe, options, openAnySession);
    continue;
  }
  const placement = choosePlacement(recipe.networks.length, count, { shards: Number(shards) });
  const all = Array.from({ length: count }, (_, each) => each);
  // Parts of a group need names of their own.
  const own = shards === '1' ? group : group.part(`recipe ${index}`, all);
  const ranks = ranksOf(own, placement, Number(shards), recipe.train.dataParallel);
  if (ranks.isFirst) await trainRun(recipe, { ...options, ranks }, openAnySession);
  else await followTraining(recipe, { ...options, ranks }, openAnySession);
}
group?.barrier();
group?.leave();
