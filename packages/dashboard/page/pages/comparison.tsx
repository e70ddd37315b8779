/** One comparison: the tables and plots of its report, and the runs in it. */
import type { JSX } from 'preact';
import type { ComparisonDetail } from '../../src/api/types.ts';
import { api } from '../api/index.ts';
import { DotPlot } from '../charts/dotPlot.tsx';
import type { DrawnSeries } from '../charts/drawn.ts';
import { LineChart } from '../charts/lineChart.tsx';
import { lookOf } from '../charts/palette.ts';
import { formatBytes, formatMetric, formatNumber, formatTick } from '../parts/format.ts';
import { State } from '../parts/state.tsx';
import { Table } from '../parts/table.tsx';
import { useLoaded } from '../state/load.ts';
import { link } from '../state/location.ts';
import { rows } from '../state/runs.ts';
import { CopyButton } from './overview.tsx';
import { readReport, type Aggregate, type Difference, type MethodReport, type Report } from './report.ts';

const percent = (value: number): string => formatMetric('accuracy', value);
const points = (value: number): string => `${value >= 0 ? '+' : '−'}${Math.abs(value * 100).toFixed(2)}`;

/** The page. */
export function ComparisonPage({ id }: { id: string }): JSX.Element {
  const inside = [...rows.value.values()].filter(({ comparison }) => comparison === id);
  const version = inside.map(({ state, epoch }) => `${state}${epoch}`).join();
  const { value, error } = useLoaded(`${id} ${version}`, () => api.comparison(id));
  if (error !== null) return <p class="problem">{error}</p>;
  if (value === null) return <p class="hint">loading …</p>;
  const { entry, report } = value;
  const share = api.shareAddress([], [id], `/comparison/${id}`);
  return (
    <>
      <h1>{entry.name}</h1>
      <div class="tools">
        <span>
          {entry.labels.join(', ')}; seeds {entry.seeds.join(', ')}; {entry.finished} of {entry.cells}{' '}
          trainings finished
        </span>
        <a class="button" href={link('/curves', { runs: value.runs.map((run) => run.id).join(',') })}>
          Curves of its runs
        </a>
        <a class="button" href={link('/difference', { runs: firstOfEach(value).join(',') })}>
          Settings that differ
        </a>
        {share !== null && (
          <a class="button" href={share} download>
            Share as HTML
          </a>
        )}
      </div>
      {entry.problem !== null && <p class="problem">{entry.problem}</p>}
      {entry.command !== '' && (
        <p class="command">
          <code>{entry.command}</code>
          <CopyButton text={entry.command} />
        </p>
      )}
      {report === null ? (
        <p class="empty">
          The report is written when trainings have finished; the curves of the runs are there already.
        </p>
      ) : (
        <ReportView report={readReport(report)} />
      )}
      <RunsOf detail={value} />
    </>
  );
}

function ReportView({ report }: { report: Report }): JSX.Element {
  const methods = report.methods;
  const hasFractions = new Set(methods.map(({ fraction }) => fraction)).size > 1;
  const label = (method: MethodReport): string =>
    hasFractions ? `${method.label} ${Math.round(method.fraction * 100)}%` : method.label;
  const curves = methods.map((method, index): DrawnSeries => ({
    label: label(method),
    look: lookOf(index),
    data: {
      x: method.curve.map(({ epoch }) => epoch),
      low: method.curve.map(({ accuracy }) => accuracy),
      high: method.curve.map(({ accuracy }) => accuracy),
      smooth: [],
      exact: true,
    },
  }));
  const accuracyPlot = (
    title: string,
    accuracyOf: (method: MethodReport) => Aggregate | undefined,
  ): JSX.Element => (
    <DotPlot
      title={title}
      format={(value) => formatTick('accuracy', value)}
      rows={methods.map((method) => ({
        label: label(method),
        values: accuracyOf(method)?.values ?? [],
        mean: accuracyOf(method)?.mean ?? NaN,
        interval: null,
      }))}
    />
  );
  const compared = methods.filter(({ differences }) => differences.meanNetwork !== undefined);
  return (
    <>
      <p class="hint">{report.facts.join(', ')}</p>
      <div class="chart-grid">
        <section class="card">
          {accuracyPlot(
            `${report.score} of the mean network, a mark for each seed`,
            ({ meanNetwork }) => meanNetwork.accuracy,
          )}
        </section>
        {compared.length > 0 && (
          <section class="card">
            <DotPlot
              title={`Difference to ${report.baseline} in percentage points, 95% interval over seeds`}
              format={points}
              origin={0}
              rows={compared.map((method) => ({
                label: label(method),
                values: [],
                mean: method.differences.meanNetwork?.mean ?? NaN,
                interval: method.differences.meanNetwork?.overSeeds ?? null,
                hint: describe(method.differences.meanNetwork),
              }))}
            />
          </section>
        )}
        <section class="card">
          {accuracyPlot(
            `${report.score} of the ensemble, a mark for each seed`,
            ({ ensemble }) => ensemble.accuracy,
          )}
        </section>
        <section class="card">
          <LineChart
            title="Learning curves, mean over seeds and networks"
            xLabel="epoch"
            series={curves}
            height={240}
            format={percent}
            tick={(value) => formatTick('accuracy', value)}
            hasLegend
          />
        </section>
      </div>
      <section class="card">
        <h2>{report.score}</h2>
        <Table
          label="Accuracy table"
          text={['method']}
          numbers={[
            'seeds',
            'mean network',
            'difference',
            'over seeds',
            'over images',
            'ensemble',
            'difference',
            'NLL',
            'calibration error',
          ]}
        >
          {methods.map((method) => (
            <tr key={label(method)}>
              <th scope="row">
                {label(method)}
                {method.label === report.baseline && <small> baseline</small>}
              </th>
              <td class="number">{method.seeds.length}</td>
              <td class="number">
                <WithDeviation of={method.meanNetwork.accuracy} />
              </td>
              <DifferenceCells difference={method.differences.meanNetwork} />
              <td class="number">
                <WithDeviation of={method.ensemble.accuracy} />
              </td>
              <td class="number">
                {method.differences.ensemble === undefined ? '' : points(method.differences.ensemble.mean)}
              </td>
              <td class="number">{formatMaybe(method.meanNetwork.negativeLogLikelihood)}</td>
              <td class="number">{formatMaybe(method.meanNetwork.expectedCalibrationError)}</td>
            </tr>
          ))}
        </Table>
        {report.notes.map((note) => (
          <p key={note} class="hint">
            {note}
          </p>
        ))}
        {report.failures.map((failure) => (
          <p key={failure} class="problem">
            {failure}
          </p>
        ))}
      </section>
      <section class="card">
        <h2>Cost</h2>
        <Table
          label="Cost table"
          text={['method']}
          numbers={['seconds per epoch', 'peak memory', 'parameters in training']}
        >
          {methods.map((method) => (
            <tr key={label(method)}>
              <th scope="row">{label(method)}</th>
              <td class="number">{formatMaybe(method.secondsPerEpoch ?? undefined)}</td>
              <td class="number">
                {method.peakMemoryBytes === null ? '' : formatBytes(method.peakMemoryBytes.mean)}
              </td>
              <td class="number">
                {method.trainingParameters === null ? '' : formatNumber(method.trainingParameters)}
              </td>
            </tr>
          ))}
        </Table>
      </section>
    </>
  );
}

function WithDeviation({ of: aggregate }: { of: Aggregate | undefined }): JSX.Element | null {
  if (aggregate === undefined) return null;
  const { mean, standardDeviation } = aggregate;
  return (
    <>
      {percent(mean)}
      {standardDeviation !== null && <small> ±{(standardDeviation * 100).toFixed(2)}</small>}
    </>
  );
}

function DifferenceCells({ difference }: { difference: Difference | undefined }): JSX.Element {
  const interval = (bounds: readonly [number, number] | null | undefined): string =>
    bounds == null ? '' : `${points(bounds[0])} to ${points(bounds[1])}`;
  return (
    <>
      <td class="number">{difference === undefined ? '' : points(difference.mean)}</td>
      <td class="number">{interval(difference?.overSeeds)}</td>
      <td class="number">{interval(difference?.overImages)}</td>
    </>
  );
}

function RunsOf({ detail }: { detail: ComparisonDetail }): JSX.Element {
  return (
    <section class="card">
      <h2>Runs</h2>
      <Table label="Runs table" text={['method', 'seed', 'run', 'state']} numbers={['accuracy']}>
        {detail.runs.map(({ id, label, seed }) => {
          const row = rows.value.get(id);
          const accuracy = row?.results.accuracy?.last;
          return (
            <tr key={id}>
              <td>{label}</td>
              <td>{seed}</td>
              <td>
                <a href={link(`/run/${id}`)}>{row?.folder ?? id}</a>
              </td>
              <td>{row !== undefined && <State row={row} />}</td>
              <td class="number">{typeof accuracy === 'number' ? percent(accuracy) : ''}</td>
            </tr>
          );
        })}
      </Table>
    </section>
  );
}

function firstOfEach({ runs }: ComparisonDetail): string[] {
  return [...new Map(runs.map(({ label, id }) => [label, id])).values()];
}

function describe(difference: Difference | undefined): string {
  if (difference === undefined) return '';
  const { mean, overSeeds } = difference;
  return overSeeds === null
    ? points(mean)
    : `${points(mean)}, from ${points(overSeeds[0])} to ${points(overSeeds[1])}`;
}

function formatMaybe(aggregate: Aggregate | undefined): string {
  return aggregate === undefined ? '' : formatNumber(aggregate.mean);
}
