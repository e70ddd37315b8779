/** A recipe's YAML text as plain data, with the line of each setting and every syntax error with line and column. */
import { errorText } from '@cohort-ml/errors';
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml';
import type { Document, YAMLError } from 'yaml';
import type { PathSegment } from './describe.ts';
import type { RecipeProblem } from './errors.ts';
import { RecipeError } from './errors.ts';

/** YAML read as data. */
export interface YamlSource {
  readonly data: unknown;
  /** Line and column of a key or list entry, from 1; null when the text has none at this path. */
  readonly locate: (path: readonly PathSegment[]) => { line: number; column: number } | null;
}

/**
 * Reads one YAML document.
 * @throws {@link RecipeError} with every syntax error, or when there is none or more than one document.
 */
export function readYaml(text: string, source: string): YamlSource {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter, prettyErrors: false, logLevel: 'silent' });
  const [document] = documents;
  if (!Array.isArray(documents) || document === undefined) {
    throw new RecipeError('the file is empty', [], {
      operation: source,
      remedy:
        "Write a recipe's settings into it; README.md shows one, and cohort methods show NAME lists those of a method.",
    });
  }
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lineCounter.linePos(offset);
    return { line, column: col };
  };
  const problems = documents
    .flatMap((found) => [...found.errors, ...found.warnings])
    .map((error) => syntaxProblem(syntaxMessage(error, text), at(error.pos[0])))
    .toSorted((left, right) => left.line - right.line || left.column - right.column)
    .filter((problem, index, all) => index === all.findIndex((other) => isSameProblem(problem, other)));
  if (problems.length === 0 && documents.length > 1) {
    const place = at(documents[1]?.range[0] ?? 0);
    problems.push(
      syntaxProblem(
        'only one recipe per file is allowed, and this begins a second YAML document (---)',
        place,
      ),
    );
  }
  if (problems.length > 0) throw RecipeError.fromProblems(source, problems);
  return {
    data: toData(document, source),
    locate: (path) => {
      const offset = offsetOf(document, path);
      return offset === null ? null : at(offset);
    },
  };
}

/** What the parser found, in the words of a recipe where its own would puzzle. */
function syntaxMessage(
  { code, message, pos }: Pick<YAMLError, 'code' | 'message' | 'pos'>,
  text: string,
): string {
  if (code !== 'DUPLICATE_KEY') return `not YAML: ${message}`;
  const key = /^[^\s:,}]*/.exec(text.slice(pos[0]))?.[0] ?? '';
  return `the key ${key} is set a second time. Keep one of the two`;
}

/** Brackets without an end make the parser repeat itself along the line. */
function isSameProblem(one: RecipeProblem, other: RecipeProblem): boolean {
  return one.message === other.message && one.line === other.line;
}

function syntaxProblem<Place extends { line: number; column: number }>(
  message: string,
  place: Place,
): RecipeProblem & Place {
  return { path: '', ...place, fromOverride: false, message, suggestion: null };
}

function toData(document: Document.Parsed, source: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (error) {
    // The only thing left that can fail: an alias without its anchor, or aliases that multiply without end.
    const reason = errorText(error);
    throw new RecipeError(`not valid YAML: ${reason}`, [], {
      operation: source,
      remedy: 'Give every alias (*name) its anchor (&name), and nest aliases less.',
      cause: error,
    });
  }
}

/** Where the key or entry at a path begins. */
function offsetOf(document: Document.Parsed, path: readonly PathSegment[]): number | null {
  let node: unknown = document.contents;
  let offset: number | null = null;
  for (const segment of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isScalar(item.key) && String(item.key.value) === String(segment),
      );
      if (pair === undefined || !isScalar(pair.key)) return null;
      offset = pair.key.range?.[0] ?? null;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(segment)];
      if (!isScalar(item) && !isMap(item) && !isSeq(item) && !isAlias(item)) return null;
      offset = item.range?.[0] ?? null;
      node = item;
    } else return null;
  }
  return offset;
}
