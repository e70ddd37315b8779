/** Where the page finds the exported network: inside itself (`--single-file`) or in its own folder. */
import { createClassifier } from '../classifier/classifier.ts';
import { isFields, manifestName, type ManifestModel, type Precision } from '../classifier/fields.ts';
import { readLocation } from '../classifier/files.ts';
import { readManifest, type Manifest } from '../classifier/manifest.ts';
import { parseManifest, type ExportedFiles, type ExportOptions } from '../classifier/open.ts';
import { MissingFileError } from '../errors.ts';
import { createDetector } from '../tasks/detector.ts';
import { createSegmenter } from '../tasks/segmenter.ts';
import { readTaskManifest, type TaskManifest } from '../tasks/taskManifest.ts';
import { decodeBase64 } from '../wasm/base64.ts';
import type { LoadedNetwork } from './createView.ts';

/** Identifier of the element that holds the export in a single file. */
export const embeddedId = 'export';

/** An export that the page can load in one of its precisions. */
export interface PageSource {
  readonly manifest: Manifest | TaskManifest;
  /** Null for classifiers. */
  readonly task: TaskManifest['task']['name'] | null;
  /** What the network is, for the title. */
  readonly kind: string;
  /** What the run was trained on, for the title; empty where the manifest does not say. */
  readonly dataset: string;
  /** Model files, the smallest first. */
  readonly models: readonly ManifestModel[];
  load(precision: Precision): Promise<LoadedNetwork>;
}

interface Embedded {
  readonly manifest: unknown;
  /** Content by path, in base64. */
  readonly files: Readonly<Record<string, string>>;
}

export async function findSource(): Promise<PageSource> {
  const element = document.getElementById(embeddedId);
  if (element !== null) {
    const { manifest, files } = JSON.parse(element.textContent) as Embedded;
    const models = readAny(manifest).models.filter(({ path }) => path in files);
    return sourceOf(manifest, models, (precision) => {
      const entry = models.find((model) => model.precision === precision);
      const path = entry?.path ?? '';
      return load({ manifest, files: { [path]: decodeBase64(files[path] ?? '') } }, { precision });
    });
  }
  if (location.protocol === 'file:') {
    throw new MissingFileError(
      'The network',
      'browsers do not load files for a page that was opened from disk. Open it through a web server, or export again with --single-file',
    );
  }
  const manifest = parseManifest(await readLocation(manifestName));
  return sourceOf(manifest, readAny(manifest).models, (precision) =>
    load(readAny(manifest), { folder: '.', precision }),
  );
}

const isTask = (value: unknown): boolean => isFields(value) && value.format === 'cohort-task-export';

function readAny(value: unknown): Manifest | TaskManifest {
  return isTask(value) ? readTaskManifest(value) : readManifest(value);
}

/** Loads a network of any task. */
function load(
  source: Manifest | TaskManifest | ExportedFiles,
  options: ExportOptions,
): Promise<LoadedNetwork> {
  const manifest = 'files' in source ? readAny(source.manifest) : source;
  const given = 'files' in source ? source : null;
  if (manifest.format === 'cohort-export') return createClassifier(given ?? manifest, options);
  return manifest.choice === null
    ? createSegmenter(given ?? manifest, options)
    : createDetector(given ?? manifest, options);
}

function sourceOf(value: unknown, models: readonly ManifestModel[], load: PageSource['load']): PageSource {
  const { run } = value as { run?: { dataset?: unknown; id?: unknown } };
  const manifest = readAny(value);
  const task = manifest.format === 'cohort-export' ? null : manifest.task.name;
  const kinds = {
    segmentation: 'Image segmenter',
    detection: 'Object detector',
    'instance-segmentation': 'Object detector',
  };
  return {
    manifest,
    task,
    kind: task === null ? 'Image classifier' : kinds[task],
    dataset: nameOf(run?.dataset, run?.id),
    models: [...models].sort((a, b) => a.bytes - b.bytes),
    load,
  };
}

/** The dataset; for a folder of the user's own, the run without its time: `photos` of `photos-20261129-195630`. */
function nameOf(dataset: unknown, id: unknown): string {
  if (typeof dataset !== 'string') return '';
  if (dataset !== 'folder' || typeof id !== 'string') return dataset;
  return id.replace(/-\d{8}-\d{6}(-\d+)?$/, '');
}
