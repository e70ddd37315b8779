/** A method's own topology, for recipes that name none: a method made for a shared trunk gets one unasked. */
import { methodFacts } from '../methods/registry.ts';
import { isSection } from '../support/section.ts';
import { valueAt } from './describe.ts';

function isMixed(recipe: unknown): boolean {
  const networks = valueAt(recipe, ['networks']);
  if (!Array.isArray(networks)) return false;
  const models = networks.map((_, index) => valueAt(recipe, ['networks', index, 'model']));
  return models.some((model) => model !== models[0]);
}

/** The recipe's data with the topology's name filled in from its method; anything that is wrong is left as it is. */
export function withMethodTopology(recipe: unknown): unknown {
  const facts = methodFacts(valueAt(recipe, ['method', 'name']));
  if (facts === undefined || !isSection(recipe)) return recipe;
  const { topology } = recipe;
  const [name] = facts.topologies;
  if (topology === undefined) {
    // Different architectures have no layers to share.
    if (facts.topologies.includes('peers') && isMixed(recipe)) return recipe;
    // All stages but the last, as the methods with a shared trunk are published.
    return { ...recipe, topology: name === 'branches' ? { name, sharedStages: null } : { name } };
  }
  return isSection(topology) && !Object.hasOwn(topology, 'name')
    ? { ...recipe, topology: { name, ...topology } }
    : recipe;
}
