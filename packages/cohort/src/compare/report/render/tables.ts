/** The tables of a report as text cells, for the terminal and for Markdown alike. */
import { formatBytes } from '../../../progress/progressText.ts';
import { scoreTitle } from '../../../support/score.ts';
import type { Difference, Subject } from '../difference.ts';
import type { ComparisonReport, Measures, MethodReport } from '../report.ts';
import {
  formatAggregate,
  formatInterval,
  formatPoints,
  signedPoints,
  type ReportTable,
} from '../../../evaluate/reportText.ts';

const nothing = '-';

/** Every table of the report: for each share of the images accuracy, differences and all measures; then costs. */
export function reportTables(report: ComparisonReport): ReportTable[] {
  const tables = report.fractions.flatMap((fraction) => {
    const methods = report.methods.filter((method) => method.fraction === fraction);
    if (methods.length === 0) return [];
    const suffix = report.fractions.length === 1 ? '' : `, ${formatShare(fraction)} of the training images`;
    return [
      ...(methods.some(({ validation }) => validation !== null)
        ? [validationTable(report, methods, suffix)]
        : []),
      accuracyTable(report, methods, suffix),
      ...(report.labels.length === 1 ? [] : [differenceTable(report, methods, suffix)]),
      isClassification(report) ? measuresTable(methods, suffix) : taskTable(methods, suffix),
    ];
  });
  const largest = report.methods.filter(({ fraction }) => fraction === Math.max(...report.fractions));
  const curve = report.fractions.length > 1 ? [fractionTable(report)] : [];
  const suffix =
    report.fractions.length === 1
      ? ''
      : ` (${formatShare(Math.max(...report.fractions))} of the training images)`;
  return [...tables, ...curve, costTable(largest, suffix), inferenceTable(largest)];
}

/** What settings are chosen by, so that test images need not be looked at for it. */
function validationTable(
  report: ComparisonReport,
  methods: readonly MethodReport[],
  suffix: string,
): ReportTable {
  if (!isClassification(report)) {
    return {
      title: `Validation images, to choose settings by (${scoreTitle(report.scoreName)} in percent${suffix})`,
      heading: ['method', 'mean network', 'ensemble', 'seeds'],
      rows: methods.flatMap(({ label, validation, seeds }) =>
        validation === null
          ? []
          : [
              [
                label,
                formatPoints(validation.meanNetwork.accuracy),
                formatPoints(validation.ensemble.accuracy),
                `${seeds.length}`,
              ],
            ],
      ),
    };
  }
  return {
    title: `Validation images, to choose settings by (top-1 in percent, negative log-likelihood in nats${suffix})`,
    heading: ['method', 'mean network', 'NLL', 'ensemble', 'seeds'],
    rows: methods.flatMap(({ label, validation, seeds }) =>
      validation === null
        ? []
        : [
            [
              label,
              formatPoints(validation.meanNetwork.accuracy),
              formatAggregate(validation.meanNetwork.negativeLogLikelihood, 4),
              formatPoints(validation.ensemble.accuracy),
              `${seeds.length}`,
            ],
          ],
    ),
  };
}

function accuracyTable(
  report: ComparisonReport,
  methods: readonly MethodReport[],
  suffix: string,
): ReportTable {
  return {
    title: isClassification(report)
      ? `Test accuracy (top-1, percent${suffix})`
      : `Test ${scoreTitle(report.scoreName)} (percent${suffix})`,
    heading: ['method', 'mean network', 'best network', 'ensemble', 'seeds'],
    rows: methods.map((method) => [
      method.label,
      formatPoints(method.meanNetwork.accuracy),
      method.bestNetwork === null ? nothing : formatPoints(method.bestNetwork.accuracy),
      formatPoints(method.ensemble.accuracy),
      `${method.seeds.length}`,
    ]),
  };
}

function differenceTable(
  report: ComparisonReport,
  methods: readonly MethodReport[],
  suffix: string,
): ReportTable {
  const subjects: readonly (readonly [Subject, string])[] = [
    ['meanNetwork', 'mean network'],
    ...(methods.some(({ bestNetwork }) => bestNetwork !== null)
      ? [['bestNetwork', 'best network'] as const]
      : []),
    ['ensemble', 'ensemble'],
  ];
  const shown = (difference: Difference | null | undefined): string[] =>
    difference == null
      ? [nothing, nothing, nothing]
      : [
          signedPoints(difference.mean),
          formatInterval(difference.overSeeds),
          formatInterval(difference.overImages),
        ];
  return {
    title: `Difference to ${report.baseline} (points of test ${scoreTitle(report.scoreName)}${suffix})`,
    heading: ['', 'method', 'difference', '95% over seeds', '95% over images'],
    names: 2,
    rows: subjects.flatMap(([subject, name]) =>
      methods
        .filter(({ label }) => label !== report.baseline)
        .map(({ label, differences }) => [name, label, ...shown(differences?.[subject])]),
    ),
  };
}

function isClassification({ scoreName }: ComparisonReport): boolean {
  return scoreName === 'accuracy';
}

/** What a task measures over all classes, a column each; those that had nothing to measure are left out. */
function taskTable(methods: readonly MethodReport[], suffix: string): ReportTable {
  const all = methods.flatMap(({ label, taskMeasures }) =>
    taskMeasures === null
      ? []
      : [
          { subject: 'mean network', label, measures: taskMeasures.meanNetwork },
          { subject: 'ensemble', label, measures: taskMeasures.ensemble },
        ],
  );
  const names = Object.keys(all[0]?.measures ?? {}).filter((name) =>
    all.some(({ measures }) => (measures[name]?.mean ?? -1) >= 0),
  );
  return {
    title: `Test images: all measures, in percent${suffix}`,
    heading: ['', 'method', ...names],
    names: 2,
    rows: ['mean network', 'ensemble'].flatMap((wanted) =>
      all
        .filter(({ subject }) => subject === wanted)
        .map(({ subject, label, measures }) => [
          subject,
          label,
          ...names.map((name) => {
            const value = measures[name];
            return value === undefined ? nothing : formatPoints(value);
          }),
        ]),
    ),
  };
}

/** Every measure of each network, their mean, the best and the ensemble; methods side by side below each other. */
function measuresTable(methods: readonly MethodReport[], suffix: string): ReportTable {
  const names = methods[0]?.networks.map(({ name }) => name) ?? [];
  const subjects: readonly (readonly [string, (method: MethodReport) => Measures | null | undefined])[] = [
    ['mean network', ({ meanNetwork }) => meanNetwork],
    ['best network', ({ bestNetwork }) => bestNetwork],
    ['ensemble', ({ ensemble }) => ensemble],
    ...names.map((name, index) => [name, ({ networks }: MethodReport) => networks[index]] as const),
  ];
  return {
    title: `Test images: top-1, top-5 and expected calibration error (ECE) in percent, negative log-likelihood (NLL) in nats${suffix}`,
    heading: ['', 'method', 'top-1', 'top-5', 'NLL', 'ECE'],
    names: 2,
    rows: subjects.flatMap(([subject, of]) =>
      methods.flatMap((method) => {
        const measures = of(method);
        if (measures == null) return [];
        const isLeader = method.networks.some(({ name, isLeader: leads }) => leads && name === subject);
        return [
          [
            subject,
            isLeader ? `${method.label} (leader)` : method.label,
            formatPoints(measures.accuracy),
            formatPoints(measures.topFiveAccuracy),
            formatAggregate(measures.negativeLogLikelihood, 4),
            formatPoints(measures.expectedCalibrationError),
          ],
        ];
      }),
    ),
  };
}

function fractionTable(report: ComparisonReport): ReportTable {
  const { labels, fractions, methods, scoreName } = report;
  const score = isClassification(report) ? 'top-1' : scoreTitle(scoreName);
  return {
    title: `Mean network by share of the training images (${score}, percent)`,
    heading: ['method', ...fractions.map(formatShare)],
    rows: labels.map((label) => [
      label,
      ...fractions.map((fraction) => {
        const method = methods.find((each) => each.label === label && each.fraction === fraction);
        return method === undefined ? nothing : formatPoints(method.meanNetwork.accuracy);
      }),
    ]),
  };
}

function costTable(methods: readonly MethodReport[], suffix: string): ReportTable {
  return {
    title: `What training costs${suffix}`,
    heading: ['method', 'seconds per epoch', 'peak memory', 'parameters besides the networks'],
    rows: methods.map(({ label, cost }) => [
      label,
      formatAggregate(cost.secondsPerEpoch, 2),
      formatBytes(cost.peakMemoryBytes.mean),
      cost.trainingParameters.toLocaleString('en-US'),
    ]),
  };
}

function inferenceTable(methods: readonly MethodReport[]): ReportTable {
  const networks = methods[0]?.cost.inference ?? [];
  return {
    title: 'Cost of a network at inference (the same for every method)',
    heading: ['network', 'parameters', 'multiply-adds per image'],
    rows: networks.map(({ name, parameters, multiplyAdds }) => [
      name,
      parameters.toLocaleString('en-US'),
      multiplyAdds.toLocaleString('en-US'),
    ]),
  };
}

/** `25%` */
export function formatShare(fraction: number): string {
  return `${Number((100 * fraction).toFixed(2))}%`;
}
