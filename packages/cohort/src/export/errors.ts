/** What an export can fail with. */

/** A run that cannot be exported as asked, or whose exported file does not compute what the run's networks do. */
export class ExportError extends Error {
  override readonly name = 'ExportError';
}
