/** How a run went: accuracy, loss terms, what the networks share, and what to do about it. */
import type { JSX } from 'preact';
import type { MetricEntry, RunDetail, XAxis } from '../../src/api/types.ts';
import { api } from '../api/index.ts';
import type { Rule } from '../charts/drawn.ts';
import { MetricChart, type Line } from '../charts/metricChart.tsx';
import { useLoaded } from '../state/load.ts';
import { query, setQuery } from '../state/location.ts';
import { Facts, type Fact } from '../parts/facts.tsx';
import { formatBytes, formatNumber } from '../parts/format.ts';
import { MatchingHeat } from './matching.tsx';
import { RanksCard } from './ranks.tsx';

/** One chart of the page. */
interface Panel {
  readonly title: string;
  /** Metrics of the chart, in the order of its lines. */
  readonly metrics: readonly string[];
  readonly label: (metric: string) => string;
  readonly rules?: readonly Rule[];
}

/** Charts under one heading. */
interface Section {
  readonly title: string;
  /** Many small charts of one line each. */
  readonly isCompact: boolean;
  readonly panels: readonly Panel[];
}

const AXES: readonly XAxis[] = ['epoch', 'step', 'time'];
const NOT_TERMS = new Set([
  'total',
  'learningRate',
  'imagesPerSecond',
  'processors',
  'memoryMegabytes',
  'matchWeight',
  'skipped',
  'skippedMethodStep',
]);

/** The overview. */
export function Overview({ detail }: { detail: RunDetail }): JSX.Element {
  const { row } = detail;
  const { value, error } = useLoaded(`${row.id} ${row.epoch}`, () => api.metrics(row.id));
  const x = AXES.find((axis) => axis === query.value.get('x')) ?? 'epoch';
  const isEveryStep = query.value.get('steps') === '1';
  const names = (value?.metrics ?? []).filter(({ kind }) => kind === 'epoch').map(({ name }) => name);
  const stepNames = new Set(
    (value?.metrics ?? []).filter(({ kind }) => kind === 'step').map(({ name }) => name),
  );
  const sections = sectionsOf(names.length > 0 ? names : [...stepNames], detail);
  return (
    <>
      <AdviceList detail={detail} />
      <div class="tools" role="toolbar" aria-label="Charts">
        <label>
          by{' '}
          <select
            value={x}
            onChange={(event) => {
              setQuery({ x: event.currentTarget.value });
            }}
          >
            <option value="epoch">epoch</option>
            <option value="step">step</option>
            <option value="time">wall time</option>
          </select>
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={isEveryStep}
            onChange={(event) => {
              setQuery({ steps: event.currentTarget.checked ? '1' : null });
            }}
          />
          loss terms at every step
        </label>
      </div>
      {error !== null && <p class="problem">{error}</p>}
      {value !== null && value.metrics.length === 0 && <p class="empty">Nothing has been measured yet.</p>}
      {sections.map(({ title, isCompact, panels }) => (
        <section key={title} aria-label={title}>
          <h2 class="section">{title}</h2>
          <div class={`chart-grid ${isCompact ? 'is-compact' : 'is-small'}`}>
            {panels.map((panel) => {
              const isStep =
                names.length === 0 || (isEveryStep && panel.metrics.every((metric) => stepNames.has(metric)));
              const lines = panel.metrics.map((metric, index): Line => ({
                run: row.id,
                metric,
                label: panel.label(metric),
                look: index,
              }));
              return (
                <section key={panel.title} class="card">
                  <MetricChart
                    {...{ lines, x }}
                    title={panel.title}
                    kind={isStep ? 'step' : 'epoch'}
                    smooth={isStep ? 0.9 : 0}
                    rules={panel.rules ?? []}
                    height={isCompact ? 140 : 190}
                    hasLegend={lines.length > 1}
                  />
                </section>
              );
            })}
          </div>
        </section>
      ))}
      <MatchingHeat run={row.id} metrics={value?.metrics ?? []} version={row.epoch} />
      <RanksCard detail={detail} />
      <Machine detail={detail} metrics={value?.metrics ?? []} />
    </>
  );
}

function sectionsOf(names: readonly string[], { ceilings }: RunDetail): Section[] {
  const group = (prefix: string, ending = ''): string[] =>
    names.filter((name) => name.startsWith(`${prefix}/`) && name.endsWith(ending));
  const last = (metric: string): string => metric.split('/').at(-1) ?? metric;
  const middle = (metric: string): string => metric.split('/').slice(1, -1).join(' and ');
  const single = (name: string, title: string): Panel => ({
    title,
    metrics: names.filter((each) => each === name),
    label: () => title,
  });
  const terms = names.filter((name) => !name.includes('/') && !NOT_TERMS.has(name));
  const ceiling = (value: number | null, label: string): Rule[] => (value === null ? [] : [{ value, label }]);
  const space = (prefix: string): Panel[] => [
    { title: 'Effective rank', metrics: group(prefix, '/effectiveRank'), label: middle },
    { title: 'Alignment (lower is closer)', metrics: group(prefix, '/alignment'), label: middle },
    { title: 'Uniformity (lower is more even)', metrics: group(prefix, '/uniformity'), label: middle },
  ];
  const sections: Section[] = [
    {
      title: 'Progress',
      isCompact: false,
      panels: [
        { title: 'Test accuracy', metrics: group('accuracy'), label: last },
        { title: 'Validation accuracy', metrics: group('validationAccuracy'), label: last },
        { title: 'Test AP', metrics: group('AP'), label: last },
        { title: 'Validation AP', metrics: group('validationAP'), label: last },
        { title: 'Test mean IoU', metrics: group('meanIoU'), label: last },
        { title: 'Validation mean IoU', metrics: group('validationMeanIoU'), label: last },
        single('total', 'Loss, weighted sum'),
        single('learningRate', 'Learning rate'),
        single('imagesPerSecond', 'Images per second'),
      ],
    },
    {
      title: 'Loss terms before weighting',
      isCompact: true,
      panels: terms.map((name) => single(name, name)),
    },
    {
      title: 'Information that the networks share, in nats',
      isCompact: false,
      panels: [
        {
          title: 'Images of one class',
          metrics: group('information', '/sameClass'),
          label: middle,
          rules: ceiling(ceilings.sameClass, 'ceiling: entropy of the labels'),
        },
        {
          title: 'The same image',
          metrics: group('information', '/sameImage'),
          label: middle,
          rules: ceiling(ceilings.sameImage, 'ceiling: ln N'),
        },
        single('matchWeight', 'Matching weight, mean'),
      ],
    },
    { title: 'Embeddings', isCompact: false, panels: space('embedding') },
    { title: 'Space of contrast', isCompact: false, panels: space('contrast') },
    {
      title: 'Machine',
      isCompact: true,
      panels: [
        single('processors', 'Processors in use'),
        single('memoryMegabytes', 'Memory of the process, in MB'),
      ],
    },
  ];
  return sections
    .map((section) => ({ ...section, panels: section.panels.filter(({ metrics }) => metrics.length > 0) }))
    .filter(({ panels }) => panels.length > 0);
}

function AdviceList({ detail }: { detail: RunDetail }): JSX.Element {
  const signs = { good: '✓', notice: 'i', warning: '!' };
  return (
    <div class="advice-block">
      {detail.advice.length > 0 && (
        <ul class="advice" aria-label="What to know about this run">
          {detail.advice.map(({ level, text }) => (
            <li key={text} class={`is-${level}`}>
              <i aria-hidden="true">{signs[level]}</i>
              {text}
            </li>
          ))}
        </ul>
      )}
      {detail.resumeCommand !== null && (
        <p class="command">
          <code>{detail.resumeCommand}</code>
          <CopyButton text={detail.resumeCommand} />
        </p>
      )}
    </div>
  );
}

/** Copies a text. */
export function CopyButton({ text }: { text: string }): JSX.Element {
  return (
    <button
      type="button"
      class="quiet"
      onClick={(event) => {
        const button = event.currentTarget;
        void navigator.clipboard.writeText(text).then(() => {
          button.textContent = 'copied';
        });
      }}
    >
      copy
    </button>
  );
}

function Machine({ detail, metrics }: { detail: RunDetail; metrics: readonly MetricEntry[] }): JSX.Element {
  const { environment, summary } = detail;
  const speed = metrics.find(({ name }) => name === 'imagesPerSecond')?.last;
  const text = (value: unknown): string =>
    typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  const cores = text(environment.cores);
  const bytes = (value: unknown): string => (typeof value === 'number' ? formatBytes(value) : '');
  const facts: readonly Fact[] = [
    [
      'processor',
      [text(environment.cpu), cores === '' ? '' : `${cores} cores`].filter((part) => part !== '').join(', '),
    ],
    ['threads', text(environment.threads)],
    ['throughput', typeof speed === 'number' ? `${formatNumber(speed)} images per second` : ''],
    ['peak memory', bytes(summary?.peakMemoryBytes)],
    ['memory of the machine', bytes(environment.memoryBytes)],
    [
      'parameters in training',
      typeof summary?.trainingParameters === 'number' ? formatNumber(summary.trainingParameters) : '',
    ],
  ];
  return (
    <section class="card">
      <h2>Machine</h2>
      <Facts facts={facts} />
    </section>
  );
}
