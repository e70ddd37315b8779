/** Commands in messages, written so that they can be copied into a shell: paths may hold spaces. */

/** The command as it would be typed again into a shell. */
export function shellCommand(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`))
    .join(' ');
}
