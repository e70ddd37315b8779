/** Numbers, times and names as people read them. */
import type { JsonNumber, Result, RowState } from '../../src/api/types.ts';

/** A number of JSON as a number. */
export function numberOf(value: JsonNumber): number {
  return typeof value === 'number' ? value : Number(value === 'NaN' ? NaN : value);
}

/** Whether values of this metric are shares, shown in percent. */
export function isShare(metric: string): boolean {
  return /accuracy|agreement|^(validation)?(AP|meanIoU)(\/|$)/i.test(metric);
}

/** Four digits that matter. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace('-', '−').replace('e+', 'e');
  if (Number.isInteger(value)) return value.toLocaleString('en');
  return value.toPrecision(4).replace('-', '−');
}

/** A value of a metric: shares in percent. */
export function formatMetric(metric: string, value: number): string {
  if (isShare(metric) && Number.isFinite(value)) return `${(value * 100).toFixed(2)}%`;
  return formatNumber(value);
}

/** A value on an axis: as few digits as it takes. */
export function formatTick(metric: string, value: number): string {
  if (isShare(metric)) return `${Number((value * 100).toPrecision(6))}%`.replace('-', '−');
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) {
    return Number(value.toPrecision(3)).toExponential().replaceAll('-', '−').replace('e+', 'e');
  }
  return Number(value.toPrecision(6)).toLocaleString('en', { maximumFractionDigits: 6 }).replace('-', '−');
}

/** Last or best of a result; empty where there is none. */
export function formatResult(metric: string, result: Result | undefined, which: 'last' | 'best'): string {
  return result === undefined ? '' : formatMetric(metric, numberOf(result[which]));
}

/** `2 h 05 min`, `3 min 20 s`, `8 s`. */
export function formatDuration(seconds: number): string {
  if (!(seconds > 0)) return '';
  const whole = Math.round(seconds);
  const [days, hours] = [Math.floor(whole / 86_400), Math.floor((whole % 86_400) / 3600)];
  const [minutes, rest] = [Math.floor((whole % 3600) / 60), whole % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${String(minutes).padStart(2, '0')} min`;
  if (minutes > 0) return `${minutes} min ${String(rest).padStart(2, '0')} s`;
  return `${rest} s`;
}

/** `2026-11-29 16:08`, in the reader's time. */
export function formatTime(iso: string | null): string {
  if (iso === null) return '';
  const date = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** `29 Nov, 16:08`, with the year where it is another one. */
export function formatShortTime(iso: string | null): string {
  if (iso === null) return '';
  const date = new Date(iso);
  const isThisYear = date.getFullYear() === new Date().getFullYear();
  const day = date.toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'short',
    ...(isThisYear ? {} : { year: 'numeric' }),
  });
  const time = date.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  return `${day}, ${time}`;
}

/** `12.3 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit] ?? 'B'}`;
}

/** `resnet8 ×2, wrn16-2`. */
export function formatNetworks(models: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const model of models) counts.set(model, (counts.get(model) ?? 0) + 1);
  return [...counts].map(([model, count]) => (count === 1 ? model : `${model} ×${count}`)).join(', ');
}

/** What stands for the networks, in words; nothing where it is accuracy, as usual. */
export function scoreNote({ scoreName }: { readonly scoreName: string }): string {
  return scoreName === 'accuracy' ? '' : scoreTitle(scoreName);
}

/** A score's name in words. */
export function scoreTitle(scoreName: string): string {
  return scoreName === 'meanIoU' ? 'mean IoU' : scoreName;
}

/** A metric's name in words where it has a usual one. */
export function metricTitle(name: string): string {
  return TITLES[name] ?? name;
}

const TITLES: Readonly<Record<string, string>> = {
  accuracy: 'test accuracy',
  'accuracy/ensemble': 'ensemble accuracy',
  validationAccuracy: 'validation',
  total: 'loss',
  learningRate: 'learning rate',
  imagesPerSecond: 'images per second',
  processors: 'processors in use',
  memoryMegabytes: 'memory in MB',
};

/** A state in words. */
export const STATE_WORDS: Readonly<Record<RowState, string>> = {
  running: 'running',
  finished: 'finished',
  failed: 'failed',
  interrupted: 'interrupted',
  stopped: 'stopped',
  damaged: 'damaged',
  newer: 'newer version',
  foreign: 'not a run',
  vanished: 'vanished',
};
