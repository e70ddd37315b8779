/** Recognises the names that people give to the folders and rows of a split: `train`, `training_set`, `seg_test`, `images_val2017`. */

/** The splits that a folder or table can name. */
export type SplitName = 'train' | 'validation' | 'test';

/** What a name says: a split, or images without labels as competitions hand them out. */
export type SplitRole = SplitName | 'unlabelled';

/** A name taken apart. */
export interface NamedRole {
  readonly role: SplitRole;
  /** What is left of the name besides the split and words that say nothing, such as `set`; empty where that is all. */
  readonly rest: string;
}

const ROLES: ReadonlyMap<string, SplitRole> = new Map(
  (
    [
      [
        'train',
        'train training trn trainval traindev trainings treino entrenamiento entrainement apprentissage',
      ],
      [
        'validation',
        'val valid validation validate validating vali dev devel development eval evaluation validacao validacion validierung',
      ],
      ['test', 'test testing tst holdout heldout teste prueba pruebas'],
      ['unlabelled', 'pred preds predict prediction predictions unlabeled unlabelled submission'],
    ] as const
  ).flatMap(([role, words]) => words.split(' ').map((word): [string, SplitRole] => [word, role])),
);

/** Words for the parts that a set is cut into. */
export const PART_WORDS: ReadonlySet<string> = new Set(
  'part parts batch batches fold folds kfold shard shards chunk chunks split splits subset subsets volume vol piece pieces half teil partie parte lote'.split(
    ' ',
  ),
);

/** Words around the split that say nothing of the class. */
const FILLERS: ReadonlySet<string> = new Set([
  ...PART_WORDS,
  ...'set sets data dataset datasets image images img imgs picture pictures pic pics photo photos sample samples daten dados datos folder dir directory files jpg jpeg png the of for public private'.split(
    ' ',
  ),
]);

/** The split that a name speaks of, whatever else it says; null where it names none or more than one. */
export function roleNamed(name: string): NamedRole | null {
  const words = name
    .normalize('NFD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}]+/u)
    .filter((word) => word !== '')
    .flatMap(splitCompound);
  const roles = new Set(words.flatMap((word) => ROLES.get(word) ?? []));
  const [role] = roles;
  if (role === undefined || roles.size > 1) return null;
  const rest = words.filter((word) => !ROLES.has(word) && !FILLERS.has(word));
  return { role, rest: rest.join(' ') };
}

/** The split that a name says and nothing else: `train`, `Training Images`, `test_set`, `val2017`; undefined for other names. */
export function splitNamed(name: string): SplitName | undefined {
  const named = roleNamed(name);
  return named?.rest === '' && named.role !== 'unlabelled' ? named.role : undefined;
}

/** `trainset` as its two words; other words as they are. */
function splitCompound(word: string): string[] {
  for (const filler of FILLERS) {
    const start = word.slice(0, -filler.length);
    if (word.endsWith(filler) && ROLES.has(start)) return [start, filler];
    const end = word.slice(filler.length);
    if (word.startsWith(filler) && ROLES.has(end)) return [filler, end];
  }
  return [word];
}
