/** A run's measurements by column: those of steps and those of epochs, each with its axes and its metrics. */
import type { MetricRecord } from '@cohort-ml/runs';
import type { XAxis } from '../api/types.ts';
import { Column } from './column.ts';
import { GrowingFloats } from './growing.ts';

/** Records of one kind. */
export class MetricTable {
  readonly step: GrowingFloats;
  readonly epoch: GrowingFloats;
  readonly timeMs: GrowingFloats;
  readonly columns: Map<string, Column>;

  constructor(
    step = new GrowingFloats(),
    epoch = new GrowingFloats(),
    timeMs = new GrowingFloats(),
    columns = new Map<string, Column>(),
  ) {
    this.step = step;
    this.epoch = epoch;
    this.timeMs = timeMs;
    this.columns = columns;
  }

  get length(): number {
    return this.step.length;
  }

  push(record: MetricRecord): void {
    const position = this.step.length;
    this.step.push(record.step);
    this.epoch.push(record.epoch);
    this.timeMs.push(record.timeMs);
    for (const [name, value] of Object.entries(record.values)) {
      let column = this.columns.get(name);
      if (column === undefined) {
        column = new Column();
        this.columns.set(name, column);
      }
      column.push(position, value);
    }
  }
}

/** Both tables of a run. */
export class RunTables {
  readonly steps: MetricTable;
  readonly epochs: MetricTable;

  constructor(steps = new MetricTable(), epochs = new MetricTable()) {
    this.steps = steps;
    this.epochs = epochs;
  }

  of(kind: 'step' | 'epoch'): MetricTable {
    return kind === 'step' ? this.steps : this.epochs;
  }

  push(record: MetricRecord): void {
    this.of(record.kind).push(record);
  }

  /**
   * Places on a horizontal axis, by record: steps, epochs (in fractions for steps, where an epoch has ended) or seconds
   * since the start.
   */
  axis(kind: 'step' | 'epoch', axis: XAxis): (record: number) => number {
    const table = this.of(kind);
    if (axis === 'time') {
      const times = table.timeMs.view();
      return (record) => (times[record] ?? NaN) / 1000;
    }
    if (axis === 'epoch') {
      const stepsPerEpoch = kind === 'step' ? this.#stepsPerEpoch() : null;
      if (stepsPerEpoch !== null) {
        const steps = table.step.view();
        return (record) => (steps[record] ?? NaN) / stepsPerEpoch;
      }
      const epochs = table.epoch.view();
      return (record) => epochs[record] ?? NaN;
    }
    const steps = table.step.view();
    return (record) => steps[record] ?? NaN;
  }

  #stepsPerEpoch(): number | null {
    const last = this.epochs.length - 1;
    if (last < 0) return null;
    const [step = 0, epoch = 0] = [this.epochs.step.view()[last], this.epochs.epoch.view()[last]];
    return step > 0 && epoch > 0 ? step / epoch : null;
  }
}
