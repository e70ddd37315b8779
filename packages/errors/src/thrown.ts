/** Reads what was thrown, which in JavaScript may be anything. */

/** The message of anything thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code of a Node.js system or zlib error (`ENOENT`, `Z_BUF_ERROR`), or undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether a file error says that there is nothing at the path. */
export function isNothingThere(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** What codes of the system mean, in words that stand after "got". */
const systemReasons: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'a disk that is full'],
  ['EDQUOT', 'a disk quota that is used up'],
  ['EROFS', 'a read-only file system'],
  ['EACCES', 'no permission (EACCES)'],
  ['EPERM', 'no permission (EPERM)'],
  ['ENOENT', 'nothing at that path'],
  ['ENOTDIR', 'a path that leads through a file'],
  ['EISDIR', 'a folder'],
  ['ELOOP', 'a symbolic link that leads in circles'],
  ['ENAMETOOLONG', 'a name that is too long'],
]);

/** What a file error is about as a noun phrase, in plain words where its code is a common one; else its message. */
export function fileErrorReason(error: unknown): string {
  return systemReasons.get(errorCode(error) ?? '') ?? errorText(error);
}

/** A text that ends as a sentence does, so that another can follow it. */
export function asSentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
