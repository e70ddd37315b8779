/** Chooses the emoji of Emoji-70: which of them, in what classes, and on which side of the split; from seeds alone. */
import * as z from 'zod';
import { shuffleInPlace } from '../loading/random.ts';

/** The parts of emojibase's `data.json` that are used; skin tones are listed inside of an emoji and so left out. */
export const emojiListSchema = z.array(
  z.object({
    hexcode: z.string().regex(/^[0-9A-F]+(-[0-9A-F]+)*$/),
    label: z.string(),
    /** Absent for single letters of flags. */
    group: z.number().optional(),
    subgroup: z.number().optional(),
    /** Position in Unicode's list. */
    order: z.number().optional(),
  }),
);

/** The parts of emojibase's `groups.json` that are used: names by number. */
export const groupsSchema = z.object({
  groups: z.record(z.string(), z.string()),
  subgroups: z.record(z.string(), z.string()),
});

/** A chosen emoji. */
export interface ChosenEmoji {
  /** Its code points: `1F469-200D-2695-FE0F`. */
  readonly hexcode: string;
  readonly label: string;
  /** Index into the classes. */
  readonly classIndex: number;
  /** Whether it is in the test split by emoji. */
  readonly isTest: boolean;
}

/** How {@link selectEmoji} chooses. */
export interface SelectionRules {
  /** Smaller subgroups are no class. */
  readonly fewest: number;
  /** Of larger subgroups, so many are drawn. */
  readonly most: number;
  /** Share of a class's emoji that is for testing. */
  readonly testShare: number;
}

/** The rules of Emoji-70. */
export const EMOJI_RULES: SelectionRules = { fewest: 8, most: 40, testShare: 0.2 };

/** Part of what the benchmark is: other seeds give another benchmark. */
const SEED = 70;
const DRAW = 1;
const SPLIT = 2;

/**
 * Classes are Unicode's subgroups in Unicode's order.
 * @returns class names, and the chosen emoji in Unicode's order.
 */
export function selectEmoji(
  list: z.output<typeof emojiListSchema>,
  names: z.output<typeof groupsSchema>,
  rules: SelectionRules = EMOJI_RULES,
): { classes: string[]; emoji: ChosenEmoji[] } {
  const component = Object.entries(names.groups).find(([, name]) => name === 'component')?.[0];
  const members = new Map<number, z.output<typeof emojiListSchema>>();
  const ordered = [...list].sort((left, right) => (left.order ?? 0) - (right.order ?? 0));
  for (const emoji of ordered) {
    if (emoji.group === undefined || emoji.subgroup === undefined) continue;
    if (`${emoji.group}` === component) continue;
    const others = members.get(emoji.subgroup) ?? [];
    members.set(emoji.subgroup, [...others, emoji]);
  }
  const kept = [...members]
    .filter(([, emoji]) => emoji.length >= rules.fewest)
    .sort(([left], [right]) => left - right);
  const emoji = kept.flatMap(([subgroup, candidates], classIndex) => {
    const drawn = shuffleInPlace([...candidates.keys()], SEED, DRAW, subgroup)
      .slice(0, rules.most)
      .sort((left, right) => left - right);
    const testCount = Math.max(1, Math.round(drawn.length * rules.testShare));
    const test = new Set(shuffleInPlace([...drawn], SEED, SPLIT, subgroup).slice(0, testCount));
    return drawn.map((index): ChosenEmoji => {
      const { hexcode = '', label = '' } = candidates[index] ?? {};
      return { hexcode, label, classIndex, isTest: test.has(index) };
    });
  });
  return { classes: kept.map(([subgroup]) => names.subgroups[`${subgroup}`] ?? `${subgroup}`), emoji };
}
