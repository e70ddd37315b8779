/** What people add to a run: note, tags and whether it is archived, in `annotations.json` of its folder, so that it moves along. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { refuseLive, writeFileAtomic } from '@cohort-ml/runs';
import { isObject, textOrNull, textsOf, type JsonObject } from '../json.ts';

/** Name of the file in a run folder. */
export const ANNOTATIONS_FILE = 'annotations.json';

const VERSION = 1;
const MOST_NOTE = 20_000;
const MOST_TAGS = 50;
const MOST_TAG = 100;

/** What the file says. */
export interface Annotations {
  readonly note: string;
  readonly tags: readonly string[];
  readonly archived: boolean;
}

const NONE: Annotations = { note: '', tags: [], archived: false };

/** Reads them; none where there are none, or where the file is damaged. */
export function readAnnotations(folder: string): Annotations {
  const content = readContent(folder);
  return {
    note: textOrNull(content.note) ?? NONE.note,
    tags: textsOf(content.tags),
    archived: content.archived === true,
  };
}

/**
 * Changes some of them; what is left out stays, and so do keys of other versions.
 * @throws RunError where a process is writing the run, or the file cannot be written
 */
export function writeAnnotations(folder: string, changes: Partial<Annotations>): void {
  refuseLive(folder, 'annotate the run');
  const { note, tags, archived } = { ...readAnnotations(folder), ...changes };
  const kept = {
    note: note.slice(0, MOST_NOTE),
    tags: [...new Set(tags.map((tag) => tag.trim().slice(0, MOST_TAG)).filter((tag) => tag !== ''))].slice(
      0,
      MOST_TAGS,
    ),
    archived,
  };
  const content = { ...readContent(folder), version: VERSION, ...kept };
  writeFileAtomic(join(folder, ANNOTATIONS_FILE), `${JSON.stringify(content, null, 2)}\n`);
}

function readContent(folder: string): JsonObject {
  try {
    const content: unknown = JSON.parse(readFileSync(join(folder, ANNOTATIONS_FILE), 'utf8'));
    return isObject(content) ? content : {};
  } catch {
    return {};
  }
}
