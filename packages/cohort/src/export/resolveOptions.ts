/** The options of an export with their defaults, checked before anything is loaded. */
import { basename, join, resolve } from 'node:path';
import { ExportError } from './errors.ts';
import type { Precision } from './manifest.ts';
import { exportFormats, precisions, type ExportFormat, type ExportOptions } from './options.ts';
import type { WeightBits } from './quantise/rewrite.ts';

/** Options of an export, all of them. */
export interface ResolvedOptions {
  /** As an absolute path. */
  readonly out: string;
  /** In the order of {@link precisions}; empty where no ONNX file is wanted. */
  readonly precisions: readonly Precision[];
  readonly formats: readonly ExportFormat[];
  readonly page: boolean;
  readonly singleFile: boolean;
  readonly force: boolean;
  readonly calibrationImages: number;
  /** Null: as many as are quick. */
  readonly testImages: number | null;
  readonly weightBits: WeightBits;
  readonly maximumLoss: number;
}

/** @throws {ExportError} for values that no export can have */
export function resolveOptions(runPath: string, options: ExportOptions): ResolvedOptions {
  const formats = inOrder('format', exportFormats, options.formats ?? ['onnx']);
  const singleFile = options.singleFile ?? false;
  const page = (options.page ?? false) || singleFile;
  const needsModel = page || formats.some((format) => format !== 'torchvision');
  const wanted = inOrder('precision', precisions, options.precisions ?? ['float32']);
  if (!needsModel && options.precisions !== undefined && wanted.join() !== 'float32') {
    throw new ExportError(
      'The format torchvision has weights in float32 only. Add the format onnx for other precisions: --format onnx,torchvision.',
    );
  }
  const { maximumLoss = 2 } = options;
  if (!(maximumLoss >= 0 && maximumLoss <= 100)) {
    throw new ExportError(`The largest loss of accuracy is 0 to 100 points, got ${maximumLoss}.`);
  }
  return {
    out: resolve(options.out ?? join('exports', basename(resolve(runPath)))),
    precisions: needsModel ? wanted : [],
    formats,
    page,
    singleFile,
    force: options.force ?? false,
    calibrationImages: countOf('calibration images', options.calibrationImages) ?? 256,
    testImages: countOf('test images', options.testImages),
    weightBits: options.weightBits ?? 8,
    maximumLoss,
  };
}

function inOrder<Name extends string>(
  what: string,
  known: readonly Name[],
  wanted: readonly Name[],
): readonly Name[] {
  const unknown = wanted.find((name) => !known.includes(name));
  if (unknown !== undefined || wanted.length === 0) {
    throw new ExportError(
      `There is no ${what} '${unknown ?? ''}'. Name one or more of ${known.join(', ')}, separated by commas.`,
    );
  }
  return known.filter((name) => wanted.includes(name));
}

function countOf(what: string, count: number | undefined): number | null {
  if (count === undefined) return null;
  if (Number.isInteger(count) && count >= 1) return count;
  throw new ExportError(`The number of ${what} is a whole number of at least 1, got ${count}.`);
}
