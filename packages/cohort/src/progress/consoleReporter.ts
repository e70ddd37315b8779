/** Training progress on a console: a live display in a terminal, plain lines elsewhere (a pipe, CI, a log). */
import {
  epochParts,
  layOut,
  liveEpochGroups,
  liveStepGroups,
  type LiveDisplay,
  type PartGroups,
} from './progressText.ts';
import type { EpochEndEvent, EpochStartEvent, NetworkAccuracy, Reporter, StepEvent } from './reporter.ts';
import { printable } from '../support/printable.ts';

/** The part of a Node.js stream that a console needs. */
export interface ConsoleStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** What a console reporter writes to and how. */
export interface ConsoleReporterOptions {
  /** Progress and messages. */
  readonly output: ConsoleStream;
  /** Warnings. */
  readonly warnings: ConsoleStream;
  /** Environment variables: `NO_COLOR`, `CI` and `TERM` are honoured. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** Memory that the process takes; not shown if left out. */
  readonly memoryBytes?: () => number;
  /** Only warnings. */
  readonly quiet?: boolean;
}

/** Columns of a terminal; one that does not know its size says 0. */
export function widthOf(stream: ConsoleStream, otherwise = 80): number {
  const { columns = 0 } = stream;
  return columns > 0 ? columns : otherwise;
}

/** Redrawing more often would be wasted: each redraw costs a few dozen microseconds and flickers. */
const REDRAW_MS = 100;
const BAR_COLUMNS = 24;
const NARROW_BAR_COLUMNS = 8;
/** Less than this is a narrow terminal. */
const NARROW_COLUMNS = 60;
/** While data is fetched or decoded, a log shows a sign of life this often. */
const SIGN_OF_LIFE_MS = 10_000;

/** Reports to a console. Call {@link ConsoleReporter.close} at the end, so that the live line does not swallow what follows. */
export class ConsoleReporter implements Reporter {
  readonly #options: ConsoleReporterOptions;
  /** True where the live line can be redrawn. */
  readonly #isLive: boolean;
  readonly #hasColouredWarnings: boolean;
  readonly #hasColouredBar: boolean;
  #rows: readonly string[] = [];
  #drawnAt = -Infinity;
  #plainLineAt: number;
  #accuracies: readonly NetworkAccuracy[] = [];
  #areValidation = false;
  #scoreName = 'accuracy';

  constructor(options: ConsoleReporterOptions) {
    this.#options = options;
    const { output, warnings, variables } = options;
    const isDumb = variables.TERM === 'dumb';
    this.#isLive = output.isTTY === true && !isDumb && !isSet(variables.CI);
    const mayColour = !isDumb && (variables.NO_COLOR ?? '') === '';
    this.#hasColouredWarnings = warnings.isTTY === true && mayColour;
    this.#hasColouredBar = this.#isLive && mayColour;
    this.#plainLineAt = options.now();
  }

  message(text: string): void {
    if (this.#options.quiet === true) return;
    this.#aroundLiveRows(() => this.#options.output.write(`${printable(text)}\n`));
  }

  warning(text: string): void {
    const label = this.#hasColouredWarnings ? '\u001B[33mwarning:\u001B[39m' : 'warning:';
    this.#aroundLiveRows(() => this.#options.warnings.write(`${label} ${printable(text)}\n`));
  }

  progress(text: string): void {
    if (this.#options.quiet === true) return;
    const now = this.#options.now();
    if (this.#isLive) {
      if (now - this.#drawnAt < REDRAW_MS) return;
      this.#draw([[text]]);
      this.#drawnAt = now;
    } else if (now - this.#plainLineAt >= SIGN_OF_LIFE_MS) {
      this.#writeLine([text]);
      this.#plainLineAt = now;
    }
  }

  epochStart(event: EpochStartEvent): void {
    if (event.epoch === 1) this.#accuracies = [];
    this.#plainLineAt = this.#options.now();
  }

  step(event: StepEvent): void {
    if (this.#options.quiet === true) return;
    // A log has one line per epoch: metrics.jsonl has the steps.
    if (!this.#isLive) return;
    const now = this.#options.now();
    if (now - this.#drawnAt < REDRAW_MS) return;
    this.#draw(liveStepGroups(event, this.#display()));
    this.#drawnAt = now;
  }

  epochEnd(event: EpochEndEvent): void {
    this.#accuracies = event.accuracies ?? this.#accuracies;
    this.#areValidation = event.areValidation ?? this.#areValidation;
    this.#scoreName = event.scoreName ?? this.#scoreName;
    if (this.#options.quiet === true) return;
    this.#plainLineAt = this.#options.now();
    if (!this.#isLive) {
      this.#writeLine(epochParts(event, this.#options.memoryBytes?.() ?? null));
      return;
    }
    this.#draw(liveEpochGroups(event, this.#display()));
    this.#drawnAt = this.#options.now();
    // What the last epoch came to stays on the screen.
    if (event.epoch === event.epochs) this.close();
  }

  /** Leaves the live line where it is and goes to a fresh one. */
  close(): void {
    if (this.#rows.length > 0) this.#options.output.write('\n');
    this.#rows = [];
  }

  #writeLine(parts: readonly string[]): void {
    this.#options.output.write(`${parts.join('  ')}\n`);
  }

  #display(): LiveDisplay {
    const isNarrow = widthOf(this.#options.output) < NARROW_COLUMNS;
    return {
      barColumns: isNarrow ? NARROW_BAR_COLUMNS : BAR_COLUMNS,
      accuracies: this.#accuracies,
      areValidation: this.#areValidation,
      scoreName: this.#scoreName,
      memoryBytes: this.#options.memoryBytes?.() ?? null,
    };
  }

  #draw(groups: PartGroups): void {
    const { output } = this.#options;
    const { rows: height = 0 } = output;
    const rows = groups.flatMap((parts) => layOut(parts, widthOf(output)));
    // Rows that have left the screen at the top could not be taken away again.
    const shown = height > 1 ? rows.slice(0, height - 1) : rows;
    output.write(`${this.#erasure()}${this.#painted(shown)}`);
    this.#rows = shown;
  }

  #painted(rows: readonly string[]): string {
    const text = rows.join('\n');
    return this.#hasColouredBar ? text.replace(/\[(=*>?)( *)\]/, '[\u001B[32m$1\u001B[39m$2]') : text;
  }

  /** Takes the live rows away, writes, and puts them back below. */
  #aroundLiveRows(write: () => void): void {
    const rows = this.#rows;
    if (rows.length > 0) this.#options.output.write(this.#erasure());
    write();
    if (rows.length > 0) this.#options.output.write(this.#painted(rows));
  }

  /** Goes back to the beginning of the live rows and clears from there on. */
  #erasure(): string {
    if (this.#rows.length === 0) return '';
    // A terminal that was made narrower meanwhile has broken them into more.
    const width = widthOf(this.#options.output);
    const height = this.#rows.reduce((sum, row) => sum + Math.max(1, Math.ceil(row.length / width)), 0);
    const up = height > 1 ? `\u001B[${height - 1}A` : '';
    return `\r${up}\u001B[J`;
  }
}

/** CI systems set `CI=true`; `CI=false` and `CI=0` are how people switch it off. */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value.toLowerCase() !== 'false';
}
