/** What goes wrong between processes: no process groups in this LibTorch, a rank that has gone, a wait that was too long. */
import { OperatorError, TorchError } from '../errors.ts';

/** Why a process group failed. */
export type ProcessGroupFailure = 'unavailable' | 'timeout' | 'connection' | 'argument';

/** A group could not be joined, or one of its operations failed; it cannot be used any more. */
export class ProcessGroupError extends TorchError {
  override readonly name = 'ProcessGroupError';
  declare readonly kind: ProcessGroupFailure;

  constructor(kind: ProcessGroupFailure, operation: string, message: string, options?: ErrorOptions) {
    super(operation, message, options);
    this.kind = kind;
  }
}

const timeoutWords = /tim(?:ed|e)[ -]?out/i;

/** LibTorch's own words, as the error that says what to do. */
export function groupFailure(operation: string, cause: Error): ProcessGroupError {
  const reason = firstLine(cause.message);
  return timeoutWords.test(reason)
    ? new ProcessGroupError(
        'timeout',
        operation,
        `the other ranks did not answer in time (${reason}). Check that all ranks run and reach each other, or allow more time.`,
        { cause },
      )
    : new ProcessGroupError(
        'connection',
        operation,
        `the connection to another rank failed (${reason}). Look at what the other ranks report; the first to end is the cause.`,
        { cause },
      );
}

/** How the engine marks an operator that failed because another rank did, in the middle of a network. */
const sharedBatchMark = 'shared batch: ';

/**
 * What went wrong between ranks while a network ran over a part of a batch, as the error of the group; any other error as it is.
 */
export function unwrapGroupFailure(error: unknown): unknown {
  if (!(error instanceof OperatorError) || !error.message.includes(sharedBatchMark)) return error;
  const words = error.message.slice(error.message.indexOf(sharedBatchMark) + sharedBatchMark.length);
  return groupFailure('batch normalisation', new Error(words, { cause: error }));
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/\.+$/, '').trim();
}
