/** What a cohort is said to cost in training and in use. */
import { scope } from '@cohort-ml/torch';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { createCohort } from './cohort.ts';
import { describeCost } from './cost.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

it("counts the method's own modules, and a second copy of networks where averages are kept", () => {
  scope(() => {
    const costs = (['independent', 'mcl', 'pcl'] as const).map((name) => {
      const recipe = world.recipe({ method: { name }, topology: { name: 'peers' } });
      const cohort = createCohort(recipe, { classes: 10, channels: 1 }, []);
      return describeCost(cohort, { channels: 1, height: 28, width: 28 });
    });
    const [independent, mcl, pcl] = costs.map(({ trainingParameters }) => trainingParameters);
    const network = costs[0]?.networks[0]?.parameters ?? NaN;
    expect(costs.map(({ networks }) => networks)).toEqual(costs.map(() => costs[0]?.networks));
    expect(independent).toBe(0);
    // Two heads: 64 to 128 to 128, with biases.
    expect(mcl).toBe(2 * (64 * 128 + 128 + 128 * 128 + 128));
    expect(pcl).toBeGreaterThan(2 * network);
  });
});

it('counts once what averages share', () => {
  scope(() => {
    const networks = Array.from({ length: 3 }, () => ({ model: 'resnet8' as const }));
    const [peers, branches] = (['peers', 'branches'] as const).map((name) => {
      const topology = name === 'peers' ? { name } : { name, sharedStages: 2 };
      const recipe = world.recipe({ method: { name: 'pcl' }, networks, topology });
      const cohort = createCohort(recipe, { classes: 10, channels: 1 }, []);
      const [first] = cohort.networks;
      const last = [first?.stageModules.at(-1), first?.classifier].map(
        (each) => each?.parameterCount() ?? NaN,
      );
      const trunk = (first?.parameterCount() ?? NaN) - last.reduce((sum, count) => sum + count, 0);
      return { ...describeCost(cohort, { channels: 1, height: 28, width: 28 }), trunk };
    });
    expect(branches?.trainingParameters).toBe((peers?.trainingParameters ?? NaN) - 2 * (peers?.trunk ?? NaN));
  });
});
