/** The one error that reading and writing safetensors throws, with a kind for every way in which a file can be bad. */

/** What is wrong, for code that has to tell the cases apart. */
export type SafetensorsErrorKind =
  /** Fewer bytes than the header's length takes. */
  | 'file-too-short'
  /** The header claims, or would take, more than 100 MB. */
  | 'header-too-large'
  /** The header claims to reach past the end of the file. */
  | 'header-past-end'
  /** The header is not UTF-8. */
  | 'header-utf8'
  /** The header does not start with `{`, is cut off, or is not JSON. */
  | 'header-json'
  /** A tensor, a field or a metadata key comes twice. */
  | 'duplicate-name'
  /** A tensor's name is reserved or cannot be written as UTF-8. */
  | 'name'
  /** The metadata are not an object of strings. */
  | 'metadata'
  /** A tensor's entry is not an object of exactly `dtype`, `shape` and `data_offsets`. */
  | 'tensor-fields'
  /** The dtype is not one that is known here. */
  | 'dtype'
  /** The shape is not a list of non-negative safe integers. */
  | 'shape'
  /** The shape's product does not fit in a safe integer. */
  | 'shape-overflow'
  /** The offsets are not two safe integers in ascending order. */
  | 'offsets'
  /** The offsets reach past the end of the data. */
  | 'offset-past-end'
  /** The data are not as long as shape and dtype say. */
  | 'size-mismatch'
  /** Two tensors share bytes. */
  | 'overlap'
  /** Some bytes belong to no tensor. */
  | 'hole'
  /** The operating system could not read the file. */
  | 'read-failed'
  /** The operating system could not write the file; the one that was there before is unchanged. */
  | 'write-failed';

/** What a {@link SafetensorsError} is made from. */
export interface SafetensorsProblem {
  readonly action: 'read' | 'write';
  readonly expected: string;
  readonly found: string;
  readonly remedy: string;
  /** The file concerned; left out where the bytes came from memory. */
  readonly path?: string;
  readonly cause?: unknown;
}

/** Why safetensors could not be read or written: what was expected, what was found and what to do. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
  readonly kind: SafetensorsErrorKind;
  /** The file concerned, where there is one. */
  readonly path?: string;
  readonly #problem: SafetensorsProblem;

  constructor(kind: SafetensorsErrorKind, problem: SafetensorsProblem) {
    const where = problem.path === undefined ? 'bytes' : `file ${quoted(problem.path, 1000)}`;
    super(
      `cannot ${problem.action} safetensors ${where}: expected ${problem.expected}, found ${problem.found}; ${problem.remedy}`,
      problem.cause === undefined ? undefined : { cause: problem.cause },
    );
    this.kind = kind;
    if (problem.path !== undefined) this.path = problem.path;
    this.#problem = problem;
  }

  /** The same error, naming the file it is about. */
  at(path: string): SafetensorsError {
    return new SafetensorsError(this.kind, { ...this.#problem, path });
  }
}

/** What to do about a file that cannot have been written like that on purpose. */
export const damagedRemedy =
  'the file is damaged or is not a safetensors file: fetch it again, or save it again with a safetensors library';

/** Text from a file, shortened and with everything escaped that could disturb a terminal. */
export function quoted(text: string, limit = 80): string {
  const shortened = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return JSON.stringify(shortened).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
