/** What is known of every method without building it: where it comes from, what cohort it is for, what remains of it. */
import type { MethodName, MethodSettings } from './settings.ts';

/** Name of a way to share layers. */
export type TopologyName = 'peers' | 'branches' | 'tree';

/** One method, as `cohort methods` shows it. */
export interface MethodFacts {
  /** The method's name in full. */
  readonly title: string;
  /** Authors, year and where it was published. */
  readonly paper: string;
  /** Its loss in short: z logits, p probabilities, i and j networks; KL softens by T and counts T^2. */
  readonly equation: string;
  /** The topologies that it is defined for; a recipe that names none gets the first. */
  readonly topologies: readonly [TopologyName, ...TopologyName[]];
  /** Fewest networks that it makes sense with: a method that teaches needs someone to teach. */
  readonly minimumNetworks: number;
  /** Why so many, after the method's name; that networks teach each other unless given. */
  readonly whyMinimum?: string;
  /** What is trained beside the networks, and thrown away after. */
  readonly training: string;
  /** What is measured and kept for use. */
  readonly deployed: string;
  /** Whether it runs shared layers and networks apart, so that nothing on top of it sees the networks' logits. */
  readonly runsTrunks?: true;
  /** Whether it keeps averages of the networks' weights, so that a recipe must not ask for more. */
  readonly keepsAverages?: true;
  /** Whether its ensemble is another than the mean of the networks' probabilities. */
  readonly hasEnsemble?: true;
}

const everyNetwork = 'every network';

/** Facts of each method by its name: a new method is one entry here, its settings and its file. */
export const methodCatalogue: Readonly<Record<MethodName, MethodFacts>> = {
  independent: {
    title: 'independent networks',
    paper: 'the baseline',
    equation: 'CE_i',
    topologies: ['peers', 'branches', 'tree'],
    minimumNetworks: 1,
    training: 'nothing',
    deployed: everyNetwork,
  },
  mcl: {
    title: 'mutual contrastive learning',
    paper: 'Yang et al. 2022, arXiv 2104.12565',
    equation:
      'CE_i + VCL + ICL + soft VCL + soft ICL (equation 10); with weights.logit also KL(p(mean_j z_j) || p_i)',
    topologies: ['peers', 'branches', 'tree'],
    minimumNetworks: 2,
    training: 'embedding heads; memory banks where asked for',
    deployed: everyNetwork,
  },
  'l-mcl': {
    title: 'layer-wise mutual contrastive learning',
    paper: 'Yang et al. 2023, arXiv 2207.11518',
    equation: 'CE of all stages + weighted layer-wise MCL + KL(p_aggregate || p_i)',
    topologies: ['peers', 'branches', 'tree'],
    minimumNetworks: 2,
    training: 'refinement branches, embedding heads, matching network, aggregators',
    deployed: everyNetwork,
  },
  dml: {
    title: 'deep mutual learning',
    paper: 'Zhang et al. 2018, arXiv 1706.00384',
    equation: 'CE_i + mean_j KL(p_j || p_i)',
    topologies: ['peers', 'branches', 'tree'],
    minimumNetworks: 2,
    training: 'nothing',
    deployed: everyNetwork,
  },
  'cl-ilr': {
    title: 'collaborative learning with intermediate-level representation sharing',
    paper: 'Song and Chai 2018, arXiv 1805.11761',
    equation: 'b CE_i + (1 - b) KL(p(mean_j z_j) || p_i)',
    topologies: ['tree', 'branches', 'peers'],
    minimumNetworks: 2,
    training: 'nothing',
    deployed: everyNetwork,
    runsTrunks: true,
  },
  one: {
    title: 'on-the-fly native ensemble',
    paper: 'Lan et al. 2018, arXiv 1806.04606',
    equation: 'CE_i + CE_e + KL(p_e || p_i), z_e = sum_i gate_i z_i',
    topologies: ['branches'],
    minimumNetworks: 2,
    runsTrunks: true,
    training: 'a gate: linear, batch norm, ReLU, softmax',
    deployed: 'every network; the ensemble is the gated one',
    hasEnsemble: true,
  },
  okddip: {
    title: 'online knowledge distillation with diverse peers',
    paper: 'Chen et al. 2020, arXiv 1912.00350',
    equation: 'CE_i + KL(p(sum_j a_ij z_j) || p_i) + KL(p(mean_i z_i) || p_leader)',
    topologies: ['branches', 'peers', 'tree'],
    minimumNetworks: 3,
    whyMinimum: 'has a leader that learns from two or more peers',
    training: 'queries and keys, linear',
    deployed: 'the last network, the leader; the ensemble is of the peers',
    hasEnsemble: true,
  },
  kdcl: {
    title: 'knowledge distillation by collaborative learning',
    paper: 'Guo et al., CVPR 2020',
    equation: 'CE_i + KL(p_t || p_i), z_t of the best, of the least margins, or mixed',
    topologies: ['peers', 'branches', 'tree'],
    minimumNetworks: 2,
    training: 'nothing (teacher general: a weight for each network)',
    deployed: everyNetwork,
  },
  pcl: {
    title: 'peer collaborative learning',
    paper: 'Wu and Gong 2021, arXiv 2006.04147',
    equation: 'CE_i + CE_e + KL(p_e || p_i) + mean_j KL(average p_j || p_i)',
    topologies: ['branches', 'peers', 'tree'],
    minimumNetworks: 2,
    training: "averages of the networks; a classifier on all peers' features, and its average",
    deployed: "every network's average; the ensemble is the average classifier's",
    keepsAverages: true,
    hasEnsemble: true,
  },
  ffl: {
    title: 'feature fusion learning',
    paper: 'Kim et al. 2019, arXiv 1904.09058',
    equation: 'CE_i + CE_f + KL(p_f || p_i) + KL(p(mean_i z_i) || p_f)',
    topologies: ['branches', 'peers', 'tree'],
    minimumNetworks: 2,
    training: 'a fusion module with its classifier',
    deployed: 'every network; the ensemble is the fused classifier',
    hasEnsemble: true,
  },
  afd: {
    title: 'feature-map-level online adversarial knowledge distillation',
    paper: 'Chung et al. 2020, arXiv 2002.01775',
    equation: 'CE_i + mean_j KL(p_j || p_i) + a (1 - D_i(f_i))^2',
    topologies: ['peers', 'branches', 'tree'],
    minimumNetworks: 2,
    training: 'discriminators with their own optimizer; transfer layers where widths differ',
    deployed: everyNetwork,
  },
  dcm: {
    title: 'dense cross-layer mutual distillation',
    paper: 'Yao and Sun 2020, arXiv 2008.07816',
    equation: 'CE of all classifiers + KL(p_jz || p_ik) of all stages k and z',
    topologies: ['peers', 'branches', 'tree'],
    minimumNetworks: 2,
    training: 'auxiliary classifiers: refinement branches',
    deployed: everyNetwork,
  },
  switokd: {
    title: 'switchable online knowledge distillation',
    paper: 'Qian et al. 2022, arXiv 2209.04996',
    equation: 'CE_i + KL(p_j || p_i), teachers only while |p_s - p_t| <= delta',
    topologies: ['peers', 'branches', 'tree'],
    minimumNetworks: 2,
    training: 'nothing',
    deployed: everyNetwork,
  },
};

/** A method with settings that make it one of its own, as comparisons name it; recipes write the settings. */
export interface MethodVariant {
  readonly method: MethodName;
  readonly title: string;
  readonly equation: string;
  /** What the method's section says beside the name. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Variants by the name that they are compared under. */
export const methodVariants: Readonly<Record<string, MethodVariant>> = {
  'mcl-logit': {
    method: 'mcl',
    title: 'mutual contrastive learning with logit distillation',
    equation: 'CE_i + VCL + ICL + soft VCL + soft ICL + KL(p(mean_j z_j) || p_i)',
    settings: { weights: { logit: 1 } },
  },
  'kdcl-naive': {
    method: 'kdcl',
    title: 'KDCL, target of the best network',
    equation: 'CE_i + KL(p_t || p_i), z_t = z_b, b = argmin_k CE(z_k), for each image',
    settings: { teacher: 'naive' },
  },
  'kdcl-linear': {
    method: 'kdcl',
    title: 'KDCL, target mixed for each image',
    equation: 'CE_i + KL(p_t || p_i), z_t = sum_k a_k z_k, a = argmin CE(z_t) on the simplex, for each image',
    settings: { teacher: 'linear' },
  },
  'kdcl-min-logit': {
    method: 'kdcl',
    title: 'KDCL, target of the least margins',
    equation: "CE_i + KL(p_t || p_i), z_t,c = min_k (z_k,c - z_k,y), y the image's class",
    settings: { teacher: 'min-logit' },
  },
  'kdcl-general': {
    method: 'kdcl',
    title: 'KDCL, target with weights solved on held-out images',
    equation: 'CE_i + KL(p_t || p_i), z_t = sum_k w_k z_k, w once per epoch',
    settings: { teacher: 'general' },
  },
};

/** The facts of a method, or undefined for an unknown name. */
export function methodFacts(name: unknown): MethodFacts | undefined {
  return new Map<unknown, MethodFacts>(Object.entries(methodCatalogue)).get(name);
}

/** Fewest networks of each method. */
export const minimumNetworks = Object.fromEntries(
  Object.entries(methodCatalogue).map(([name, facts]) => [name, facts.minimumNetworks]),
) as Readonly<Record<MethodName, number>>;

/** How many images, or which share of the training images, a method needs held out; null where it needs none. */
export function heldOutImages(settings: MethodSettings): number | null {
  return settings.name === 'kdcl' && settings.teacher === 'general' ? settings.heldOutImages : null;
}
