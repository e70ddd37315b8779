/** What every kind of work looks like to the program that repeats it. */
import type { optim } from '@cohort-ml/torch';
import type { Method } from 'cohort-ml/internal';

/** Work that is set up and can be repeated. */
export interface RunningWork {
  /** Of what computes, where that is not our engine. */
  readonly version?: string;
  /** Of the networks, without what exists only in training. */
  readonly parameters?: number;
  /** Of convolutions and linear layers: in a step's forward pass, else for one image. */
  readonly multiplyAdds?: number;
  /** Does it once; gives what it computed, by name. */
  run(): Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>;
  /** Writes weights and data for the other side to take over; absent where results are not compared. */
  save?(path: string): void;
  /** The step's parts, each to be timed by itself; absent for work without a backward pass. */
  readonly parts?: {
    readonly method: Method;
    readonly optimizer: optim.Optimizer;
    /** From now on one network is differentiated after the other, so that times add up. */
    readonly takeNetworksInTurn: () => void;
  };
}
