/** Typed errors of the engine: each states the operation, what was expected, what was found and what to do. */

/** Base of every error that this package throws on purpose. */
export class TorchError extends Error {
  override readonly name: string = 'TorchError';
  /** The operation that failed, e.g. `conv2d`. */
  readonly operation: string;

  constructor(operation: string, message: string, options?: ErrorOptions) {
    super(`${operation}: ${message}`, options);
    this.operation = operation;
  }
}

/** LibTorch refused the call: the message holds its own sentence and the shapes of the arguments. */
export class OperatorError extends TorchError {
  override readonly name = 'OperatorError';
}

/** The arguments fit no overload of the operator, or a value has the wrong type or range. */
export class ArgumentError extends TorchError {
  override readonly name = 'ArgumentError';
}

/** A tensor was used after it had been released. */
export class DisposedTensorError extends TorchError {
  override readonly name = 'DisposedTensorError';

  constructor(operation: string, which = 'this tensor') {
    super(
      operation,
      `${which} was released. Return it from its scope(), keep() it, or dispose of it after its last use.`,
    );
  }
}

/** The system has no memory left for a tensor. */
export class OutOfMemoryError extends TorchError {
  override readonly name = 'OutOfMemoryError';
}

/** The native addon is missing or was built for something else. */
export class EngineLoadError extends TorchError {
  override readonly name = 'EngineLoadError';
}
