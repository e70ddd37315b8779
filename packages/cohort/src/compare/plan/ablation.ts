/** The variants of an ablation: the four contrastive terms alone, in pairs and left out, logits, then layers, matching and meta step. */
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { merged, type Variant } from './variants.ts';

/** Names of the four terms in labels, with their settings. */
const TERMS = [
  ['VCL', 'vcl'],
  ['ICL', 'icl'],
  ['soft VCL', 'softVcl'],
  ['soft ICL', 'softIcl'],
] as const;

type Term = (typeof TERMS)[number][1];

/** Combinations of terms: each hard one alone, both, each with its soft one, all but one. */
const COMBINATIONS: readonly (readonly Term[])[] = [
  ['vcl'],
  ['icl'],
  ['vcl', 'icl'],
  ['vcl', 'softVcl'],
  ['icl', 'softIcl'],
  ['icl', 'softVcl', 'softIcl'],
  ['vcl', 'softVcl', 'softIcl'],
  ['vcl', 'icl', 'softIcl'],
  ['vcl', 'icl', 'softVcl'],
];

/** What both contrastive methods have: settings of the recipe's own that the other one takes over. */
const SHARED = ['temperature', 'distillationTemperature', 'embeddingSize', 'rampUpEpochs'] as const;

/**
 * Variants of MCL, or of its layer-wise form where that is the recipe's method, from no term to all, with distillation of
 * logits apart where the recipe has it; then the layer-wise form with the same weight for all pairs of stages, with a
 * matching network as it was drawn, and with one that is trained.
 */
export function ablationVariants(own: ResolvedRecipe['method']): Variant[] {
  const name = own.name === 'l-mcl' ? 'l-mcl' : 'mcl';
  const ownMethod = own.name === 'mcl' || own.name === 'l-mcl' ? own : null;
  const base: Record<string, unknown> = ownMethod?.name === name ? { ...ownMethod } : { name };
  const shared = Object.fromEntries(
    SHARED.flatMap((key) => (ownMethod === null ? [] : [[key, ownMethod[key]]])),
  );
  const { vcl, icl, softVcl, softIcl } = ownMethod?.weights ?? {};
  const weights = ownMethod === null ? {} : { weights: { vcl, icl, softVcl, softIcl } };
  const layerwise = name === 'l-mcl' ? base : merged({ name: 'l-mcl', ...shared }, weights);
  const variant = (label: string, method: Record<string, unknown>): Variant => ({
    label,
    method,
    overrides: [],
  });
  const logit = ownMethod?.name === 'mcl' ? ownMethod.weights.logit : 0;
  // Distillation of logits is no contrastive term: it stands in rows of its own.
  const contrastive = name === 'l-mcl' ? base : merged(base, { weights: { logit: 0 } });
  return [
    variant('independent', { name: 'independent' }),
    ...(logit > 0 ? [variant('logits alone', merged(base, { weights: without([]) }))] : []),
    ...COMBINATIONS.map((terms) => variant(labelOf(terms), merged(contrastive, { weights: without(terms) }))),
    ...(name === 'l-mcl' ? [] : [variant('all terms (MCL)', contrastive)]),
    ...(logit > 0 ? [variant('all terms and logits', base)] : []),
    variant('L-MCL, uniform matching', merged(layerwise, { matching: 'uniform', meta: null })),
    variant('L-MCL, no meta step', merged(layerwise, { matching: 'learned', meta: null })),
    variant('L-MCL', merged(layerwise, { matching: 'learned', meta: metaOf(own) })),
  ];
}

/** Where the recipe itself has no meta step, the published one. */
function metaOf(own: ResolvedRecipe['method']): object {
  return own.name === 'l-mcl' && own.meta !== null ? own.meta : {};
}

/** Weight 0 for the terms that are not named. */
function without(terms: readonly Term[]): Partial<Record<Term, number>> {
  const off = TERMS.map(([, term]) => term).filter((term) => !terms.includes(term));
  return Object.fromEntries(off.map((term) => [term, 0]));
}

function labelOf(terms: readonly Term[]): string {
  return TERMS.filter(([, term]) => terms.includes(term))
    .map(([label]) => label)
    .join(' + ');
}
