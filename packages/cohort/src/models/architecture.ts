/** What an architecture's file says of it for the registry: its name, how it is built and where it comes from. */
import type { Network, NetworkOptions } from './network.ts';

/** One architecture that a recipe may name. */
export interface Architecture<Name extends string = string> {
  readonly name: Name;
  /** Builds a network with fresh weights; classes and channels have been checked. */
  readonly build: (options: NetworkOptions) => Network;
  /** Where it was published. */
  readonly paper: string;
  /** Side in pixels of the square images that it was designed for; others do too. */
  readonly imageSize: 32 | 224;
}

/** Defines an architecture; its name becomes part of the type. */
export function defineArchitecture<const Name extends string>(
  architecture: Architecture<Name>,
): Architecture<Name> {
  return architecture;
}
