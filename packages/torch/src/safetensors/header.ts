/**
 * A parser for exactly the JSON that a safetensors header may hold. `JSON.parse` would hide duplicate names, round
 * large numbers, take `1.0` for a size, and build whatever a hostile header describes before it can be refused.
 */
import { damagedRemedy, quoted, SafetensorsError, type SafetensorsErrorKind } from './errors.ts';
import {
  isSafetensorsDtype,
  isWellFormed,
  knownDtypes,
  maximumDimensions,
  metadataName,
  type SafetensorsDtype,
} from './format.ts';

/** What the header says of one tensor, not yet compared with the data. */
export interface TensorEntry {
  readonly name: string;
  /** An element type that is known here; null for another, whose name is `dtypeName`. */
  readonly dtype: SafetensorsDtype | null;
  readonly dtypeName: string;
  readonly shape: readonly number[];
  /** Where the tensor's bytes begin, counted from the end of the header. */
  readonly begin: number;
  /** The first byte after them. */
  readonly end: number;
}

/** A header's content, in the order in which it was written. */
export interface Header {
  readonly metadata: Map<string, string>;
  readonly entries: TensorEntry[];
}

/**
 * Parses the text of a header, or throws a {@link SafetensorsError} at the first thing that may not be there.
 * @param keepsUnknown lists tensors of element types that are not known here, instead of refusing them
 */
export function parseHeader(text: string, keepsUnknown = false): Header {
  return new HeaderParser(text, keepsUnknown).header();
}

class HeaderParser {
  readonly #text: string;
  readonly #keepsUnknown: boolean;
  #position = 0;

  constructor(text: string, keepsUnknown: boolean) {
    this.#text = text;
    this.#keepsUnknown = keepsUnknown;
  }

  header(): Header {
    // Not even white space may stand before it: the format says so, to keep polyglot files out.
    if (!this.#text.startsWith('{')) this.#fail('header-json', 'a header that starts with "{"');
    const metadata = new Map<string, string>();
    const entries: TensorEntry[] = [];
    this.#object('header-json', 'the header', (name) => {
      if (name === metadataName) this.#metadata(metadata);
      else entries.push(this.#tensor(name));
    });
    this.#skipSpace();
    if (this.#position < this.#text.length) {
      this.#fail('header-json', 'nothing but spaces after the closing "}" of the header');
    }
    return { metadata, entries };
  }

  #metadata(metadata: Map<string, string>): void {
    this.#skipSpace();
    // The reference reader takes null for no metadata.
    if (this.#text.startsWith('null', this.#position)) {
      this.#position += 'null'.length;
      return;
    }
    this.#object('metadata', `an object of strings as ${quoted(metadataName)}`, (key) => {
      metadata.set(key, this.#string('metadata', `a string as metadata ${quoted(key)}`));
    });
  }

  #tensor(name: string): TensorEntry {
    const tensor = `tensor ${quoted(name)}`;
    const found: { dtype?: string; shape?: number[]; data_offsets?: [number, number] } = {};
    this.#object('tensor-fields', `an object with dtype, shape and data_offsets as ${tensor}`, (field) => {
      if (field === 'dtype') found.dtype = this.#dtype(tensor);
      else if (field === 'shape') found.shape = this.#shape(tensor);
      else if (field === 'data_offsets') found.data_offsets = this.#offsets(tensor);
      // Another field might change what the bytes mean, so it is not passed over.
      else this.#refuse('tensor-fields', `only dtype, shape and data_offsets in ${tensor}`, quoted(field));
    });
    const { dtype, shape, data_offsets: offsets } = found;
    if (dtype === undefined || shape === undefined || offsets === undefined) {
      const missing = ['dtype', 'shape', 'data_offsets'].filter((field) => !Object.hasOwn(found, field));
      this.#refuse(
        'tensor-fields',
        `dtype, shape and data_offsets in ${tensor}`,
        `no ${missing.join(', no ')}`,
      );
    }
    return {
      name,
      dtype: isSafetensorsDtype(dtype) ? dtype : null,
      dtypeName: dtype,
      shape,
      begin: offsets[0],
      end: offsets[1],
    };
  }

  #shape(tensor: string): number[] {
    const rule = `at most ${maximumDimensions} non-negative whole numbers, each below 2^53, as shape of ${tensor}`;
    return this.#wholeNumbers('shape', rule, maximumDimensions);
  }

  #offsets(tensor: string): [number, number] {
    const rule = `two whole numbers, the first not above the second, as data_offsets of ${tensor}`;
    this.#skipSpace();
    const start = this.#position;
    const [begin, end] = this.#wholeNumbers('offsets', rule, 2);
    if (begin === undefined || end === undefined || begin > end) return this.#fail('offsets', rule, start);
    return [begin, end];
  }

  #dtype(tensor: string): string {
    const rule = `one of ${knownDtypes} as dtype of ${tensor}`;
    const name = this.#string('dtype', rule);
    if (isSafetensorsDtype(name) || (this.#keepsUnknown && /^[A-Z][A-Z0-9_]{0,30}$/.test(name))) return name;
    return this.#refuse(
      'dtype',
      rule,
      quoted(name),
      'Convert the tensor to one of these dtypes and save it again.',
    );
  }

  /** Reads `{"key": …}` and calls `member` where each value begins; refuses a key that comes twice. */
  #object(kind: SafetensorsErrorKind, what: string, member: (key: string) => void): void {
    this.#require('{', kind, what);
    if (this.#takes('}')) return;
    const keys = new Set<string>();
    do {
      const key = this.#string('header-json', 'a name in double quotes');
      if (keys.has(key)) {
        const remedy = 'Readers disagree on which of them counts: save the file again with every name once.';
        this.#refuse('duplicate-name', 'every name once', `${quoted(key)} twice`, remedy);
      }
      keys.add(key);
      this.#require(':', 'header-json', `":" after ${quoted(key)}`);
      member(key);
    } while (this.#takes(','));
    this.#require('}', 'header-json', '"," or "}"');
  }

  #string(kind: SafetensorsErrorKind, rule: string): string {
    this.#skipSpace();
    const start = this.#position;
    if (this.#text[start] !== '"') this.#fail(kind, rule);
    // By hand and not by a regular expression, whose stack a very long string would overflow.
    let cursor = start + 1;
    while (cursor < this.#text.length && this.#text[cursor] !== '"') {
      cursor += this.#text[cursor] === '\\' ? 2 : 1;
    }
    if (cursor >= this.#text.length) this.#fail('header-json', 'a closing quote', this.#text.length);
    const value = unescaped(this.#text.slice(start, cursor + 1));
    if (value === undefined) return this.#fail('header-json', 'a valid JSON string');
    this.#position = cursor + 1;
    return value;
  }

  #wholeNumbers(kind: SafetensorsErrorKind, rule: string, limit: number): number[] {
    this.#skipSpace();
    const start = this.#position;
    const numbers: number[] = [];
    this.#require('[', kind, rule);
    if (this.#takes(']')) return numbers;
    do {
      this.#skipSpace();
      // As many digits as the largest safe integer has. A sign, a fraction, an exponent or a leading zero leaves
      // something behind that is neither "," nor "]".
      const pattern = /(?:0|[1-9][0-9]{0,15})/y;
      pattern.lastIndex = this.#position;
      const digits = pattern.exec(this.#text)?.[0];
      const value = Number(digits);
      const isBad = !Number.isSafeInteger(value) || numbers.length === limit;
      if (digits === undefined || isBad) return this.#failUnlessCut(kind, rule, start);
      numbers.push(value);
      this.#position += digits.length;
    } while (this.#takes(','));
    if (!this.#takes(']')) this.#failUnlessCut(kind, rule, start);
    return numbers;
  }

  #skipSpace(): void {
    while (isSpace(this.#text[this.#position])) this.#position += 1;
  }

  #takes(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#position] !== character) return false;
    this.#position += 1;
    return true;
  }

  #require(character: string, kind: SafetensorsErrorKind, rule: string): void {
    if (!this.#takes(character)) this.#fail(kind, rule);
  }

  /** Blames the whole list from `start`, unless what is wrong is that the text ends here. */
  #failUnlessCut(kind: SafetensorsErrorKind, rule: string, start: number): never {
    this.#fail(kind, rule, this.#position < this.#text.length ? start : this.#position);
  }

  /** Refuses what stands at `position`; where nothing does, the header is cut off whatever was expected. */
  #fail(kind: SafetensorsErrorKind, rule: string, position = this.#position): never {
    if (position >= this.#text.length) this.#refuse('header-json', rule, 'the end of the header');
    const excerpt = quoted(this.#text.slice(position, position + 40), 32);
    return this.#refuse(kind, rule, `${excerpt} at character ${position} of the header`);
  }

  #refuse(kind: SafetensorsErrorKind, expected: string, received: string, remedy = damagedRemedy): never {
    throw new SafetensorsError(kind, { action: 'read', expected, received, remedy });
  }
}

/** The white space of JSON; the end of the text is none. */
function isSpace(character: string | undefined): boolean {
  return character === ' ' || character === '\n' || character === '\t' || character === '\r';
}

/** The text that a JSON string stands for, or `undefined` where it is not one or cannot be written as UTF-8. */
function unescaped(json: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'string' && isWellFormed(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
