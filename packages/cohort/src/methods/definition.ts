/** What a method's file says of it: its settings, its facts and how it is built; the registry has one line for each. */
import type * as z from 'zod';
import { everyOutput, type CrossingOutput } from '../topology/index.ts';
import type { Method, MethodContext } from './method.ts';

/** Name of a way to share layers. */
export type TopologyName = 'peers' | 'branches' | 'tree';

/** A method in words, as `cohort methods` shows it. */
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
  /** What is trained along with the networks, and thrown away after. */
  readonly training: string;
  /** What is measured and kept for use. */
  readonly deployed: string;
  /** Whether it runs shared layers and networks apart, so that nothing on top of it sees the networks' logits. */
  readonly runsTrunks?: true;
  /** Whether it keeps averages of the networks' weights, so that a recipe must not ask for more. */
  readonly keepsAverages?: true;
  /**
   * Whether it learns from two views of every image and not from labels, so that classifiers stay untrained and progress is
   * measured by nearest neighbours where there are labels.
   */
  readonly isSelfSupervised?: true;
  /** Whether it contrasts the images of a batch with one another and remembers none, so that a part of a batch will do. */
  readonly contrastsInBatch?: true;
  /** Whether its ensemble is another than the mean of the networks' probabilities. */
  readonly hasEnsemble?: true;
}

/** A method with settings that make it one of its own, as comparisons name it; recipes write the settings. */
export interface VariantFacts {
  readonly title: string;
  readonly equation: string;
  /** What the method's section says besides the name. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Settings of a method: a strict object whose `name` is the method's. */
export type MethodSchema = z.ZodObject<{ name: z.ZodLiteral<string> }, z.core.$strict>;

/** What a method's file passes to {@link defineMethod}. */
export interface MethodParts<Schema extends MethodSchema> extends MethodFacts {
  /** Schema of the recipe's section, defaults included. */
  readonly settings: Schema;
  /** Variants by the name that they are compared under. */
  readonly variants?: Readonly<Record<string, VariantFacts>>;
  /**
   * How many images (or which share of the training images, where below 1) must be held out; null for none. Left out by
   * methods that never need any.
   */
  readonly heldOutImages?: (settings: z.output<Schema>) => number | null;
  /**
   * The networks' outputs that other networks' terms are computed from; in a distributed training the others stay on their
   * rank, and may only be passed to `context.classification`. All of them cross unless given.
   */
  readonly crossing?: (settings: z.output<Schema>) => readonly CrossingOutput[];
  /** Builds the method with its own modules, for a cohort. */
  readonly create: (context: MethodContext, settings: z.output<Schema>) => Method;
}

/** A method, ready for the registry. Settings are checked against its own schema wherever they come in. */
export interface MethodDefinition<Schema extends MethodSchema = MethodSchema> {
  readonly name: z.output<Schema>['name'];
  readonly settings: Schema;
  readonly facts: MethodFacts;
  readonly variants: Readonly<Record<string, VariantFacts>>;
  /** How many images, or which share of the training images, it needs held out; null where it needs none. */
  heldOutImages(settings: unknown): number | null;
  /** The networks' outputs that cross between ranks in a distributed training. */
  crossing(settings: unknown): readonly CrossingOutput[];
  /** @throws {z.ZodError} for settings that do not fit the schema, and whatever the method itself refuses */
  create(context: MethodContext, settings: unknown): Method;
}

/** Defines a method from its schema, its facts and its class. */
export function defineMethod<Schema extends MethodSchema>(
  parts: MethodParts<Schema>,
): MethodDefinition<Schema> {
  const { settings: schema, variants = {}, heldOutImages, crossing, create, ...facts } = parts;
  return {
    name: schema.shape.name.value,
    settings: schema,
    facts,
    variants,
    heldOutImages: (settings) => heldOutImages?.(schema.parse(settings)) ?? null,
    crossing: (settings) => crossing?.(schema.parse(settings)) ?? everyOutput,
    create: (context, settings) => create(context, schema.parse(settings)),
  };
}
