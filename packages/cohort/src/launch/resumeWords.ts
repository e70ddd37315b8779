/** The words that take a run up again, from those that began it. */

/** Options of `cohort train` that stay when a run is resumed, and whether a value follows. */
const keptOptions: Readonly<Record<string, 'none' | 'always' | 'perhaps'>> = {
  '--json': 'none',
  '--quiet': 'none',
  '--dashboard': 'none',
  '--stop-after': 'always',
  '--tensorboard': 'perhaps',
};

/** `train --resume RUN` with the options of the first start that still make sense. */
export function resumeWords(words: readonly string[], run: string): string[] {
  const kept: string[] = [];
  for (const [index, word] of words.entries()) {
    const [name = '', value] = word.split('=', 2);
    const follows = keptOptions[name];
    if (follows === undefined) continue;
    const next = words[index + 1];
    const isSeparate =
      value === undefined &&
      next !== undefined &&
      (follows === 'always' || (follows === 'perhaps' && !next.startsWith('-') && index > 1));
    kept.push(word, ...(isSeparate ? [next] : []));
  }
  return ['train', '--resume', run, ...kept];
}

/** The run that the words resume; null where they begin one. */
export function resumedRun(words: readonly string[]): string | null {
  const index = words.indexOf('--resume');
  if (index >= 0) return words[index + 1] ?? null;
  const prefix = '--resume=';
  return words.find((word) => word.startsWith(prefix))?.slice(prefix.length) ?? null;
}
