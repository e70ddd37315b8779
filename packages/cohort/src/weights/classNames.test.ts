/** Names of classes are found by the words of common tools, and rows follow the names. */
import { describe, expect, it } from 'vitest';
import { InertObject, OpaqueObject, type PickleValue } from './pickle/index.ts';
import { classNamesInMetadata, classNamesInPickle, rowsByName } from './classNames.ts';

const dictionary = (entries: Record<string, PickleValue>): Map<PickleValue, PickleValue> =>
  new Map(Object.entries(entries));

describe('classNamesInPickle', () => {
  const indices = dictionary({ dog: 1, cat: 0, emu: 2 });
  const namespace = new OpaqueObject('argparse.Namespace', []);
  namespace.state = dictionary({ class_names: ['cat', 'dog', 'emu'] });
  const config = new InertObject('my.Config');
  config.entries.set('label2id', indices);
  it.each<[string, PickleValue]>([
    ['class_to_idx', dictionary({ state_dict: dictionary({}), class_to_idx: indices })],
    ['class_names', dictionary({ class_names: ['cat', 'dog', 'emu'] })],
    ['classes', dictionary({ classes: ['cat', 'dog', 'emu'] })],
    [
      'id2label with numbers',
      dictionary({
        id2label: new Map<PickleValue, PickleValue>([
          [2, 'emu'],
          [0, 'cat'],
          [1, 'dog'],
        ]),
      }),
    ],
    ['id2label with text', dictionary({ id2label: dictionary({ 0: 'cat', 1: 'dog', 2: 'emu' }) })],
    ['arguments', dictionary({ args: namespace })],
    ['a configuration', dictionary({ config })],
    ['hyperparameters', dictionary({ hyper_parameters: dictionary({ class_to_idx: indices }) })],
  ])('finds %s', (_, root) => {
    expect(classNamesInPickle(root)).toEqual({ names: ['cat', 'dog', 'emu'], note: null, doubt: null });
  });

  it.each<[string, PickleValue]>([
    ['a number of classes', dictionary({ classes: 3 })],
    ['two rows of one name', dictionary({ classes: ['cat', 'cat', 'dog'] })],
    ['numbers that are no rows', dictionary({ class_to_idx: dictionary({ cat: 0.5, dog: -1 }) })],
    ['names that transformers made up', dictionary({ id2label: dictionary({ 0: 'LABEL_0', 1: 'LABEL_1' }) })],
    ['something else', 5],
  ])('does not take %s for names', (_, root) => {
    expect(classNamesInPickle(root)).toBeNull();
  });
});

describe('rows that are not plain', () => {
  const read = (entries: Record<string, PickleValue>) => classNamesInPickle(dictionary(entries));

  it('may count from 1, which is said', () => {
    expect(read({ class_to_idx: dictionary({ dog: 2, cat: 1 }) })).toEqual({
      names: ['cat', 'dog'],
      note: 'class_to_idx counts from 1: cat was taken for the first row',
      doubt: null,
    });
    const both = { class_to_idx: dictionary({ dog: 2, cat: 1 }), class_names: ['cat', 'dog'] };
    expect(read(both)).toEqual({ names: ['cat', 'dog'], note: null, doubt: null });
  });

  it('leave the order open where some have no name', () => {
    expect(read({ class_to_idx: dictionary({ cat: 0, dog: 2, emu: 3 }) })).toEqual({
      names: null,
      note: null,
      doubt: 'class_to_idx with cat in row 0, dog in row 2, emu in row 3, which leaves rows out',
    });
    expect(read({ idx_to_class: dictionary({ 5: 'cat', 6: 'dog' }) })?.names).toBeNull();
    expect(read({ class_to_idx: dictionary({ cat: 0, dog: 2 }), classes: ['cat', 'dog'] })?.names).toEqual([
      'cat',
      'dog',
    ]);
  });

  it('leave the order open where two lists contradict each other', () => {
    const found = read({
      class_to_idx: dictionary({ cat: 0, dog: 1, emu: 2 }),
      meta: dictionary({ class_names: ['cat', 'emu', 'dog'] }),
    });
    expect(found).toEqual({
      names: null,
      note: null,
      doubt: 'class_to_idx with dog in row 1, and class_names with emu there',
    });
    // Other names for the same classes contradict nothing.
    const wordnet = { class_to_idx: dictionary({ n01: 0, n02: 1 }), class_names: ['tench', 'goldfish'] };
    expect(read(wordnet)?.names).toEqual(['n01', 'n02']);
  });
});

describe('classNamesInMetadata', () => {
  it('reads JSON, a plain list and a nested configuration; ours first', () => {
    expect(classNamesInMetadata({ class_to_idx: '{"dog":1,"cat":0}' })?.names).toEqual(['cat', 'dog']);
    expect(classNamesInMetadata({ classes: 'cat, dog' })?.names).toEqual(['cat', 'dog']);
    expect(classNamesInMetadata({ config: '{"id2label":{"0":"cat","1":"dog"}}' })?.names).toEqual([
      'cat',
      'dog',
    ]);
    expect(
      classNamesInMetadata({ classes: '["a","b"]', 'cohort.classNames': '["cat","dog"]' })?.names,
    ).toEqual(['cat', 'dog']);
    expect(classNamesInMetadata({ format: 'pt' })).toBeNull();
  });
});

describe('rowsByName', () => {
  it('gives the row of each class, whatever form its letters have', () => {
    expect(rowsByName(['10', '2', '1'], ['1', '2', '10'])).toEqual([2, 1, 0]);
    expect(rowsByName(['cafe\u0301', 'b'], ['b', 'caf\u00e9'])).toEqual([1, 0]);
    expect(rowsByName(['a', 'b'], ['a', 'c'])).toBeNull();
    expect(rowsByName(['a', 'b', 'c'], ['a', 'b'])).toBeNull();
  });
});
