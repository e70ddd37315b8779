/** Every method: a new one is its own file and one line in the list below, or registered by the program that brings it. */
import * as z from 'zod';
import { Registry } from '../support/registry.ts';
import { afd } from './baselines/afd.ts';
import { clIlr } from './baselines/clIlr.ts';
import { dcm } from './baselines/dcm.ts';
import { dml } from './baselines/dml.ts';
import { ffl } from './baselines/ffl.ts';
import { independent } from './baselines/independent.ts';
import { kdcl } from './baselines/kdcl.ts';
import { okddip } from './baselines/okddip.ts';
import { one } from './baselines/one.ts';
import { pcl } from './baselines/pcl.ts';
import { switokd } from './baselines/switokd.ts';
import type { MethodDefinition, MethodFacts, MethodSchema, VariantFacts } from './definition.ts';
import { lmcl } from './mcl/lmcl.ts';
import { mcl } from './mcl/mcl.ts';
import type { CrossingOutput } from '../topology/index.ts';
import type { Method, MethodContext } from './method.ts';
import { moco } from './selfSupervised/moco.ts';
import { mocoMcl } from './selfSupervised/mocoMcl.ts';
import { simclr } from './selfSupervised/simclr.ts';
import { simclrMcl } from './selfSupervised/simclrMcl.ts';

/** In the order in which `cohort methods` lists them. */
const builtIn = [
  independent,
  mcl,
  lmcl,
  dml,
  clIlr,
  one,
  okddip,
  kdcl,
  pcl,
  ffl,
  afd,
  dcm,
  switokd,
  moco,
  mocoMcl,
  simclr,
  simclrMcl,
] as const;

type BuiltInSchema = (typeof builtIn)[number]['settings'];

/** Any built-in method's resolved settings, told apart by `name`. */
export type MethodSettings = z.output<BuiltInSchema>;

/** Names of the built-in methods. */
export type MethodName = MethodSettings['name'];

/** A variant, with the method that it is of. */
export interface MethodVariant extends VariantFacts {
  readonly method: string;
}

const methods = new Registry<MethodDefinition>('method', builtIn);

/**
 * Adds a method, so that recipes can name it; call it before they are read. See docs/extending.md.
 *
 * @throws {RangeError} for a name that is taken
 */
export function registerMethod(definition: MethodDefinition): void {
  methods.add(definition);
}

/** All methods; the same list until one is registered. */
export function methodDefinitions(): readonly MethodDefinition[] {
  return methods.entries;
}

/** Names of all methods, in the order of listings. */
export function methodNames(): string[] {
  return methods.names;
}

/** The facts of a method, or undefined for an unknown name. */
export function methodFacts(name: unknown): MethodFacts | undefined {
  return methods.find(name)?.facts;
}

/** The schema of a method's settings, or undefined for an unknown name. */
export function methodSchema(name: unknown): MethodSchema | undefined {
  return methods.find(name)?.settings;
}

/** Variants by the name that they are compared under. */
export function methodVariants(): ReadonlyMap<string, MethodVariant> {
  return new Map(
    methods.entries.flatMap(({ name: method, variants }) =>
      Object.entries(variants).map(([label, facts]) => [label, { method, ...facts }] as const),
    ),
  );
}

/** The schema of a recipe's section `method`, of every method that is registered now. */
export function methodSettings(): z.ZodDiscriminatedUnion<[BuiltInSchema, ...BuiltInSchema[]], 'name'> {
  const [first, ...others] = builtIn;
  const registered = methods.entries.slice(builtIn.length).map(({ settings }) => settings);
  return z.discriminatedUnion('name', [
    first.settings,
    ...others.map(({ settings }) => settings),
    // Types know the built-in methods alone; a registered one reads its settings by its own schema.
    ...(registered as unknown as BuiltInSchema[]),
  ]);
}

/**
 * Builds the method that `settings` name, with its own modules, for a cohort.
 *
 * @throws {RangeError} for the name of no method
 */
export function createMethod(settings: MethodSettings, context: MethodContext): Method {
  return definitionOf(settings).create(context, settings);
}

/** How many images, or which share of the training images, a method needs held out; null where it needs none. */
export function heldOutImages(settings: MethodSettings): number | null {
  return definitionOf(settings).heldOutImages(settings);
}

/** The networks' outputs that cross between ranks in a distributed training with this method. */
export function crossingOutputs(settings: MethodSettings): readonly CrossingOutput[] {
  return definitionOf(settings).crossing(settings);
}

function definitionOf({ name }: MethodSettings): MethodDefinition {
  const definition = methods.find(name);
  if (definition !== undefined) return definition;
  throw new RangeError(
    `There is no method '${name}'. The methods are ${methodNames().join(', ')}; register others with registerMethod.`,
  );
}
