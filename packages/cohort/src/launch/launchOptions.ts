/** What a launcher is given: the ranks of its host, where they meet the others, and what they run. */
import type { Variables } from './rankPlace.ts';

/** What is launched, and where. */
export interface LaunchOptions {
  /** The ranks of this host. */
  readonly ranks: readonly number[];
  /** Ranks of all hosts. */
  readonly size: number;
  /** Where rank 0 listens; the port null for any that is free, where all ranks are on this host. */
  readonly masterHost: string;
  readonly masterPort: number | null;
  readonly placement?: string | undefined;
  /** How many ranks share each batch. */
  readonly shards: number;
  /** The program and its first arguments. */
  readonly program: readonly [string, ...string[]];
  /** What was typed between `launch` and `train`. */
  readonly launchWords: readonly string[];
  /** `train` and what follows. */
  readonly words: readonly string[];
  readonly variables: Variables;
  readonly maximumRestarts: number;
  /** A rank or host without a sign of life for so long is lost. */
  readonly silenceMs: number;
  /** Longest wait for the launchers of other hosts. */
  readonly gatherMs: number;
  readonly stderr: { write(text: string): unknown };
  /** Calls the listener when the launcher is asked to stop, until the function given back is called. */
  readonly onInterrupt: (listener: (signal: 'SIGINT' | 'SIGTERM') => void) => () => void;
}
