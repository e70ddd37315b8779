/** Errors of the runtime: each says what is wrong and what to do. */

/** Base of all errors that the runtime throws on purpose. */
export class InferenceError extends Error {
  override readonly name: string = 'InferenceError';
}

/** A model file or manifest is damaged, cut short or not what its name says. */
export class ModelFileError extends InferenceError {
  override readonly name = 'ModelFileError';
}

/** The model uses something that the runtime does not compute. */
export class UnsupportedOperatorError extends InferenceError {
  override readonly name = 'UnsupportedOperatorError';
  /** Name of the operator, e.g. `LSTM`. */
  readonly operator: string;

  constructor(operator: string, detail = 'is not supported') {
    super(
      `The operator ${operator} ${detail}. Export the network with \`cohort export\`, or run the file with ONNX Runtime.`,
    );
    this.operator = operator;
  }
}

/** A file that was asked for is not there. */
export class MissingFileError extends InferenceError {
  override readonly name = 'MissingFileError';
  readonly location: string;

  constructor(
    location: string,
    reason: string,
    remedy = 'Check the address and that the whole exported folder is there.',
  ) {
    super(`${location} could not be read: ${reason}. ${remedy}`);
    this.location = location;
  }
}

/** An image cannot be decoded, or has no pixels. */
export class ImageDecodeError extends InferenceError {
  override readonly name = 'ImageDecodeError';
}

/** An input of the wrong size or type. */
export class InputError extends InferenceError {
  override readonly name = 'InputError';
}

/** Something was used after `dispose()`. */
export class DisposedError extends InferenceError {
  override readonly name = 'DisposedError';

  constructor(what: string) {
    super(`This ${what} was disposed of. Create a new one.`);
  }
}

/** This JavaScript engine lacks what the runtime needs. */
export class EnvironmentError extends InferenceError {
  override readonly name = 'EnvironmentError';
}

/** What a value is that should have been an object, for messages (`null`, `number`); null for an object. */
export function otherThanObject(value: unknown): string | null {
  if (value === null) return 'null';
  return typeof value === 'object' ? null : typeof value;
}
