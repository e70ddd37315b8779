/** Reads `cohort.json`, the manifest of an exported folder: the part that inference needs, checked. */
import {
  count,
  damaged,
  fields,
  list,
  manifestFields,
  networkKinds,
  oneOf,
  readModelEntry,
  text,
  type ManifestModel,
} from './fields.ts';

export { manifestName, type ManifestModel, type Precision } from './fields.ts';

/** A network of the export, or the ensemble of all. */
export interface ManifestNetwork {
  readonly name: string;
  readonly kind: 'network' | 'ensemble';
  readonly architecture: string;
  /** Output of the class scores. */
  readonly output: string;
  /** Output of the pooled features; null where there is none. */
  readonly embedding: { readonly output: string; readonly size: number } | null;
}

/** What the runtime needs of `cohort.json`. */
export interface Manifest {
  readonly format: 'cohort-export';
  readonly version: 1;
  readonly labels: readonly string[];
  readonly input: {
    readonly name: string;
    readonly channels: 1 | 3;
    readonly height: number;
    readonly width: number;
  };
  readonly preprocessing: {
    /** `#rrggbb` */
    readonly background: string;
    readonly resize: { readonly name: string; readonly fit: 'fill' | 'cover' };
  };
  readonly networks: readonly ManifestNetwork[];
  readonly models: readonly ManifestModel[];
}

/** @throws {ModelFileError} for other programs' files, newer versions, and missing or senseless entries */
export function readManifest(given: unknown): Manifest {
  const value = manifestFields(given, {
    format: 'cohort-export',
    what: 'an exported network',
    others: {
      'cohort-task-export':
        'This is an exported segmenter or detector. Load it with `createSegmenter` or `createDetector`.',
    },
  });
  const input = fields(value.input, 'input');
  const preprocessing = fields(value.preprocessing, 'preprocessing');
  const resize = fields(preprocessing.resize, 'preprocessing.resize');
  const background = text(preprocessing.background, 'preprocessing.background');
  if (!/^#[0-9a-f]{6}$/i.test(background)) throw damaged('preprocessing.background');
  return {
    format: 'cohort-export',
    version: 1,
    labels: list(value.labels, 'labels').map((label) => text(label, 'labels')),
    input: {
      name: text(input.name, 'input.name'),
      channels: oneOf(input.channels, [1, 3] as const, 'input.channels'),
      height: count(input.height, 'input.height'),
      width: count(input.width, 'input.width'),
    },
    preprocessing: {
      background,
      resize: {
        name: text(resize.name, 'preprocessing.resize.name'),
        fit: oneOf(resize.fit, ['fill', 'cover'] as const, 'preprocessing.resize.fit'),
      },
    },
    networks: list(value.networks, 'networks').map(readNetwork),
    models: list(value.models, 'models').map(readModelEntry),
  };
}

function readNetwork(value: unknown): ManifestNetwork {
  const network = fields(value, 'networks');
  const embedding = network.embedding == null ? null : fields(network.embedding, 'networks.embedding');
  return {
    name: text(network.name, 'networks.name'),
    kind: oneOf(network.kind, networkKinds, 'networks.kind'),
    architecture: text(network.architecture, 'networks.architecture'),
    output: text(network.output, 'networks.output'),
    embedding: embedding && {
      output: text(embedding.output, 'networks.embedding.output'),
      size: count(embedding.size, 'networks.embedding.size'),
    },
  };
}
