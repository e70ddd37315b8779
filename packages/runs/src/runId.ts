/** Names for run folders: readable, sortable by time, and safe on every file system and in a shell. */

const LONGEST_NAME = 80;

/**
 * `<name>-<yyyymmdd-hhmmss>` in UTC, since local time repeats an hour each autumn.
 * @param attempt 1 for the plain name; from 2 it is added at the end
 */
export function runId(name: string, startedAt: Date, attempt: number): string {
  const [date = '', time = ''] = startedAt.toISOString().replaceAll(/[-:]/g, '').split(/[T.]/);
  const suffix = attempt === 1 ? '' : `-${attempt}`;
  return `${sanitizeName(name)}-${date}-${time}${suffix}`;
}

/** Keeps ASCII letters, digits, `.` and `_`; accents are dropped and all else becomes one `-`. */
export function sanitizeName(name: string): string {
  const safe = name
    .normalize('NFKD')
    .replaceAll(/\p{Mark}/gu, '')
    .replaceAll(/[^A-Za-z0-9._]+/g, '-')
    .slice(0, LONGEST_NAME)
    // A leading dot would hide the folder.
    .replaceAll(/^[-.]+|[-.]+$/g, '');
  return safe === '' ? 'run' : safe;
}
