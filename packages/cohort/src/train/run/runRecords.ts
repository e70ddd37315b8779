/** What is kept of a run besides its folder's records: every line of progress in its log, the run store, TensorBoard. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { EventFileObserver, StoreFeed, type RunWriter } from '@cohort-ml/runs';
import { shellCommand } from '../../support/shellCommand.ts';
import { ConsoleReporter, type ConsoleStream } from '../../progress/consoleReporter.ts';
import type { EpochEndEvent, EpochStartEvent, Reporter, StepEvent } from '../../progress/reporter.ts';

/** What the caller of a training decides about it. */
export interface RunRecordsOptions {
  readonly reporter: Reporter;
  /** Event files for TensorBoard: `true` for a folder inside the run, else the folder that gets one sub-folder per run. */
  readonly tensorboard?: string | true;
}

/** Reports to the caller's reporter and to the run's log, which also gets what was reported before the run existed. */
export class RunRecords {
  /** Use this instead of the caller's. */
  readonly reporter: Reporter;
  readonly #options: RunRecordsOptions;
  readonly #log = new LogStream();

  constructor(options: RunRecordsOptions) {
    this.#options = options;
    // A log holds what a console shows in a pipe: a line per epoch, and signs of life.
    const log = new ConsoleReporter({
      output: this.#log,
      warnings: this.#log,
      variables: {},
      now: () => performance.now(),
      memoryBytes: () => process.memoryUsage.rss(),
    });
    this.reporter = new ReporterPair(options.reporter, log);
  }

  /** Begins to record into this run; called once, as soon as the run is there. */
  attach(run: RunWriter, recipe: string): void {
    // The console only: the log may be what fails.
    const warn = (text: string): void => {
      this.#options.reporter.warning(text);
    };
    const onProblem = (text: string): void => {
      this.reporter.warning(text);
    };
    this.#log.attach(run, warn);
    run.observe(new StoreFeed(run.path, { onProblem }));
    const inside = join(run.path, 'tensorboard');
    // A resumed run continues its curves without being asked again.
    const { tensorboard = existsSync(inside) ? true : undefined } = this.#options;
    if (tensorboard === undefined) return;
    const folder = tensorboard === true ? inside : join(tensorboard, run.info.id);
    run.observe(new EventFileObserver({ folder, recipe, onProblem }));
    this.reporter.message(
      `for TensorBoard: ${shellCommand(['tensorboard', '--logdir', tensorboard === true ? folder : tensorboard])}`,
    );
  }
}

/** Lines for a run's log, kept until there is a run. A log that cannot be written must not end a training. */
class LogStream implements ConsoleStream {
  #run: RunWriter | null = null;
  #warn: (text: string) => void = () => undefined;
  #waiting: string[] = [];
  #isBroken = false;

  attach(run: RunWriter, warn: (text: string) => void): void {
    this.#run = run;
    this.#warn = warn;
    for (const text of this.#waiting.splice(0)) this.write(text);
  }

  write(text: string): void {
    if (this.#run === null) {
      this.#waiting.push(text);
      return;
    }
    if (this.#isBroken || this.#run.info.status !== 'running') return;
    try {
      this.#run.log(text);
    } catch (error) {
      this.#isBroken = true;
      this.#warn(`the log can no longer be written: ${errorText(error)}`);
    }
  }
}

/** Passes everything on to several reporters. */
class ReporterPair implements Reporter {
  readonly #all: readonly Reporter[];

  constructor(...all: readonly Reporter[]) {
    this.#all = all;
  }

  message(text: string): void {
    for (const reporter of this.#all) reporter.message(text);
  }

  warning(text: string): void {
    for (const reporter of this.#all) reporter.warning(text);
  }

  progress(text: string): void {
    for (const reporter of this.#all) reporter.progress?.(text);
  }

  epochStart(event: EpochStartEvent): void {
    for (const reporter of this.#all) reporter.epochStart(event);
  }

  step(event: StepEvent): void {
    for (const reporter of this.#all) reporter.step(event);
  }

  epochEnd(event: EpochEndEvent): void {
    for (const reporter of this.#all) reporter.epochEnd(event);
  }
}
