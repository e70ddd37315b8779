/** Measures what the features of runs are worth on other images: what `cohort probe` calls. */
import { basename, dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { findRun, makeFolders, writeFileAtomic } from '@cohort-ml/runs';
import type { Reporter } from '../progress/reporter.ts';
import { ProbeError } from './errors.ts';
import { readProbeArchive, writeProbeArchive, type ProbeContent } from './probes/content.ts';
import { concatenated, subjectFeatures } from './probes/extract.ts';
import { FeatureCache, featureCacheFolder } from './probes/featureCache.ts';
import type { StageChoice } from './probes/features.ts';
import { fineTune } from './probes/fineTune.ts';
import { probeFrozen } from './probes/frozen.ts';
import { openProbeImages, type ProbeData, type ProbeImages } from './probes/images.ts';
import { CONCATENATION, type Measurement } from './probes/measurement.ts';
import { PROBE_DEFAULTS, VALIDATION_SHARE, type ProbeName } from './probes/settings.ts';
import { probeCsv, probeMarkdown } from './probes/render.ts';
import { buildProbeReport, type ProbeReport } from './probes/report.ts';
import { openSubjects, RANDOM_LABEL, type Subject } from './probes/subjects.ts';

/** Settings of the probes; see {@link PROBE_DEFAULTS}. */
export interface ProbeSettings {
  readonly by: readonly ProbeName[];
  /** `last`, a stage from 1, or `all` stages side by side. */
  readonly stage: StageChoice;
  /** Side in pixels that images are brought to; the run's own size unless given. */
  readonly size?: number;
  /** Images of each class for few-shot. */
  readonly shots: readonly number[];
  /** Draws of these, and seeds of fine-tuning. */
  readonly seeds: number;
  readonly penalties: readonly number[];
  readonly neighbours: readonly number[];
  readonly temperature: number;
  /** Of fine-tuning. */
  readonly epochs: number;
  readonly learningRates: readonly number[];
  readonly batchSize: number;
}

/** Where results go. */
export interface ProbeTargets {
  /** Folder for report.md, report.csv and report.json. */
  readonly out?: string;
  /** File for the archive, from which the report can be made again. */
  readonly archive?: string;
}

/** What is to be probed. */
export interface ProbeRequest extends ProbeTargets {
  /** Paths of run folders, their names, or beginnings of these. */
  readonly runs: readonly string[];
  /** Folder that holds named runs; `runs` unless given. */
  readonly runsFolder?: string;
  /** Images to probe on. */
  readonly data: Omit<ProbeData, 'validationImages'> & Partial<Pick<ProbeData, 'validationImages'>>;
  readonly settings?: Partial<ProbeSettings>;
  /** Checkpoint of every run: its name, `last` or `best`; `last` unless given. */
  readonly checkpoint?: string;
  /** Row that differences are to; the independent cohort where there is one, else random weights. */
  readonly baseline?: string;
  /** Folder of cached features; in the user's cache unless given. Null keeps none. */
  readonly cache?: string | null;
  /** The command line, for the record. */
  readonly command?: string;
}

/** What it came to. */
export interface ProbeResult {
  readonly report: ProbeReport;
  /** Paths of the files that were written. */
  readonly files: readonly string[];
}

/**
 * Extracts the features of every network once, probes them, and reports.
 *
 * @throws {ProbeError} for what cannot be measured; the errors of runs, data and engine
 */
export async function probeRuns(
  request: ProbeRequest,
  options: { readonly reporter: Reporter; readonly signal: AbortSignal },
): Promise<ProbeResult> {
  const { reporter, signal } = options;
  const settings = completed(request);
  const data: ProbeData = { validationImages: VALIDATION_SHARE, ...request.data };
  const paths = request.runs.map((run) => findRun(run, request.runsFolder ?? 'runs'));
  const { checkpoint } = request;
  const { size } = settings;
  const subjects = openSubjects(paths, {
    reporter,
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(size === undefined ? {} : { size }),
  });
  const baseline = baselineOf(request.baseline, subjects);
  const folder = request.cache === undefined ? featureCacheFolder() : request.cache;
  const cache = folder === null ? null : new FeatureCache(folder, reporter);
  const loaded = new Map<string, ProbeImages>();
  const measurements: Measurement[] = [];
  try {
    for (const subject of subjects) {
      const images = await imagesFor(subject, loaded, data, options);
      const whose = `${subject.label}, seed ${subject.seed}`;
      if (settings.by.some((probe) => probe !== 'fine-tune')) {
        const features = await subjectFeatures(subject, images, { stage: settings.stage, cache, ...options });
        const all = [...features];
        const joint = concatenated(all.map(([, each]) => each));
        const labels = {
          classes: images.classes,
          train: images.train.labels,
          validation: images.validation.labels,
          test: images.test.labels,
        };
        for (const [name, each] of all.length > 1 ? [...all, [CONCATENATION, joint] as const] : all) {
          reporter.progress?.(`probing ${name} of ${whose}`);
          await setImmediate();
          signal.throwIfAborted();
          const found = probeFrozen(each, labels, settings);
          measurements.push(
            ...found.map((one) => ({ ...one, label: subject.label, seed: subject.seed, features: name })),
          );
        }
      }
      if (settings.by.includes('fine-tune')) {
        const command = request.command ?? 'probeRuns';
        measurements.push(...(await fineTune(subject, settings, { data, images, command, ...options })));
      }
      reporter.message(`${whose}: probed`);
    }
    const [images] = loaded.values();
    const content: ProbeContent = {
      command: request.command ?? 'probeRuns',
      data: {
        name: images?.name ?? data.source,
        classes: images?.classes.length ?? 0,
        trainImages: images?.train.count ?? 0,
        validationImages: images?.validation.count ?? 0,
        testImages: images?.test.count ?? 0,
      },
      settings: storedSettings(settings),
      baseline,
      subjects: subjects.map(described),
      measurements,
    };
    return finish(content, request);
  } finally {
    for (const images of loaded.values()) images.dispose();
  }
}

/** Makes the report again from an archive. @throws {ProbeError} for what is none, and for a baseline that is not in it */
export function reportProbes(
  archive: string,
  { baseline, ...targets }: ProbeTargets & { readonly baseline?: string } = {},
): ProbeResult {
  const content = readProbeArchive(archive);
  return finish(baseline === undefined ? content : { ...content, baseline }, targets);
}

function completed(request: ProbeRequest): ProbeSettings {
  const settings: ProbeSettings = { ...PROBE_DEFAULTS, ...request.settings };
  if (request.runs.length === 0) {
    throw new ProbeError('There is no run to probe.', 'Name one or more run folders.');
  }
  if (settings.by.includes('fine-tune') && !['last', undefined].includes(request.checkpoint)) {
    throw new ProbeError(
      `Fine-tuning starts at a run's last checkpoint, not at ${request.checkpoint ?? ''}.`,
      'Leave out --checkpoint, or leave fine-tune out of --by.',
    );
  }
  return settings;
}

function baselineOf(wanted: string | undefined, subjects: readonly Subject[]): string {
  const labels = [...new Set(subjects.map(({ label }) => label))];
  if (wanted === undefined) {
    const random = labels.find((label) => label.startsWith(RANDOM_LABEL));
    return labels.includes('independent') ? 'independent' : (random ?? '');
  }
  if (labels.includes(wanted)) return wanted;
  throw new ProbeError(
    `There is no row '${wanted}' that differences could be to.`,
    `Choose one of ${labels.join(', ')}.`,
  );
}

/** Images are loaded once for all networks of one input. */
async function imagesFor(
  { shape }: Subject,
  loaded: Map<string, ProbeImages>,
  data: ProbeData,
  options: { readonly reporter: Reporter; readonly signal: AbortSignal },
): Promise<ProbeImages> {
  const key = JSON.stringify([shape.channels, shape.height, shape.width, shape.fit]);
  const known = loaded.get(key);
  if (known !== undefined) return known;
  const images = await openProbeImages(data, shape, options);
  loaded.set(key, images);
  return images;
}

function storedSettings({ size, ...settings }: ProbeSettings): ProbeContent['settings'] {
  const { by, shots, penalties, neighbours, learningRates } = settings;
  return {
    ...settings,
    size: size ?? null,
    by: [...by],
    shots: [...shots],
    penalties: [...penalties],
    neighbours: [...neighbours],
    learningRates: [...learningRates],
  };
}

function described({
  label,
  seed,
  runPath,
  recipe,
  shape,
  trained,
}: Subject): ProbeContent['subjects'][number] {
  return {
    ...{ label, seed, trained },
    run: runPath === null ? null : basename(runPath),
    models: recipe.networks.map(({ model }) => model),
    size: [shape.height, shape.width],
  };
}

function finish(content: ProbeContent, { out, archive }: ProbeTargets): ProbeResult {
  const report = buildProbeReport(content);
  const files: string[] = [];
  if (archive !== undefined) {
    makeFolders(dirname(archive));
    writeProbeArchive(archive, content);
    files.push(archive);
  }
  if (out !== undefined) {
    makeFolders(out);
    const contents: [name: string, text: string][] = [
      ['report.md', probeMarkdown(report)],
      ['report.csv', probeCsv(report)],
      ['report.json', `${JSON.stringify(report, null, 2)}\n`],
    ];
    for (const [name, text] of contents) {
      const path = join(out, name);
      writeFileAtomic(path, text);
      files.push(path);
    }
  }
  return { report, files };
}
